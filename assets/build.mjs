// Bundles css/ and js/ into dist/ with names that change with the content, and writes beside each file
// its brotli and gzip form. manifest.json says which name a file has; it is written last, so a build
// that was cut short is seen as missing.
import { build } from "esbuild";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");
const manifest = {};

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });

/**
 * xterm.js sets styles in two ways that our content security policy forbids: style elements and style
 * attributes. The same by script is allowed (see js/terminal.js). A version that is written otherwise must
 * fail here, not in front of a person.
 */
const xterm = {
  name: "xterm without inline styles",
  setup({ onLoad }) {
    onLoad({ filter: /@xterm\/xterm\/lib\/xterm\.mjs$/ }, async ({ path }) => {
      let contents = await readFile(path, "utf8");
      const replace = (what, by, times) => {
        const found = contents.match(what)?.length ?? 0;
        if (found !== times) throw new Error(`xterm.js: ${what} is there ${found} times, not ${times}`);
        contents = contents.replace(what, by);
      };
      replace(/\.createElement\("style"\)/g, '.createElement("style-sheet")', 3);
      replace(/(\w+)\.setAttribute\("style",`\$\{\1\.getAttribute\("style"\)\|\|""\}\$\{(\w+)\};`\)/g, "$1.style.cssText+=`${$2};`", 1);
      if (/setAttribute\("style"/.test(contents)) throw new Error("xterm.js sets a style attribute somewhere else");
      return { contents, loader: "js" };
    });
  },
};

const result = await build({
  absWorkingDir: root,
  entryPoints: { app: "js/app.js", style: "css/style.css" },
  outdir: "dist",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome123", "firefox120", "safari17.5"],
  plugins: [xterm],
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
for (const [path, output] of Object.entries(result.metafile.outputs)) {
  const file = basename(path);
  manifest[output.entryPoint ? basename(output.entryPoint) : file] = file;
}

for (const name of await readdir(join(root, "icons"))) {
  const body = await readFile(join(root, "icons", name));
  const hash = createHash("sha256").update(body).digest("hex").slice(0, 8).toUpperCase();
  const file = `${basename(name, extname(name))}-${hash}${extname(name)}`;
  await writeFile(join(dist, file), body);
  manifest[name] = file;
}

for (const file of Object.values(manifest)) {
  const body = await readFile(join(dist, file));
  const brotli = brotliCompressSync(body, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
  });
  await writeFile(join(dist, `${file}.br`), brotli);
  await writeFile(join(dist, `${file}.gz`), gzipSync(body, { level: 9 }));
}
const sorted = Object.fromEntries(Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1)));
await writeFile(join(dist, "manifest.json"), `${JSON.stringify(sorted, null, 1)}\n`);
