// Prints the names and licence texts of all libraries that end up in the binary: the crates of the
// graph and the npm packages of assets/. Equal texts are printed once.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version=1', '--locked', '--filter-platform=x86_64-unknown-linux-gnu'], {
    maxBuffer: 1 << 28,
  }),
);

// What is linked or runs at build time; crates that only tests use are not in the binary.
function linked() {
  const nodes = new Map(metadata.resolve.nodes.map((n) => [n.id, n]));
  const seen = new Set();
  const queue = [metadata.resolve.root];
  while (queue.length > 0) {
    const id = queue.pop();
    if (seen.has(id)) continue;
    seen.add(id);
    for (const dep of nodes.get(id).deps) {
      if (dep.dep_kinds.some((k) => k.kind !== 'dev')) queue.push(dep.pkg);
    }
  }
  seen.delete(metadata.resolve.root);
  return metadata.packages.filter((p) => seen.has(p.id));
}

function texts(folder) {
  return readdirSync(folder)
    .filter((f) => /^(licen[cs]e|copying|notice|unlicense)/i.test(f) && !f.endsWith('.rs'))
    .flatMap((f) => {
      try {
        return [readFileSync(join(folder, f), 'utf8').trim()];
      } catch {
        return [];
      }
    });
}

function npmPackages() {
  const lock = 'assets/package-lock.json';
  if (!existsSync(lock)) return [];
  return Object.entries(JSON.parse(readFileSync(lock)).packages)
    .filter(([path, p]) => path && !p.dev && existsSync(join('assets', path)))
    .map(([path, p]) => ({
      name: path.replace(/^.*node_modules\//, ''),
      version: p.version,
      license: p.license ?? 'see below',
      // noVNC keeps the full texts, and what it took over itself, in folders of its own.
      texts: ['', 'docs', 'vendor/pako'].map((f) => join('assets', path, f)).filter(existsSync).flatMap(texts),
    }));
}

const packages = [
  ...linked().map((p) => ({ ...p, license: p.license ?? 'see below', texts: texts(dirname(p.manifest_path)) })),
  ...npmPackages(),
].sort((a, b) => a.name.localeCompare(b.name));

const byText = new Map();
console.log('Libraries in Steward and their licences\n');
for (const p of packages) {
  console.log(`${p.name} ${p.version}: ${p.license}`);
  for (const text of p.texts) {
    const key = createHash('sha256').update(text.replace(/\s+/g, ' ')).digest('hex');
    if (!byText.has(key)) byText.set(key, { text, names: [] });
    byText.get(key).names.push(p.name);
  }
}
for (const { text, names } of byText.values()) {
  console.log(`\n${'-'.repeat(78)}\n${[...new Set(names)].join(', ')}\n\n${text}`);
}
