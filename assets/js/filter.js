// Filter words as in model/filter.rs: all words must fit, `key:value` wants a value that starts so, a minus
// turns a word round. What looks odd is a bare word.

export function parse(text) {
  return text.split(/\s+/).filter(Boolean).map((raw) => {
    const not = raw.length > 1 && raw.startsWith("-");
    const word = not ? raw.slice(1) : raw;
    const colon = word.indexOf(":");
    const keyed = colon > 0 && colon < word.length - 1;
    return {
      not,
      key: keyed ? word.slice(0, colon).toLowerCase() : null,
      text: (keyed ? word.slice(colon + 1) : word).toLowerCase(),
    };
  });
}

/** `row.all` is a list of lower-case texts, `row.fields` lists of lower-case values by key. */
export function fits(words, row) {
  return words.every(({ not, key, text }) => {
    const hit = key ? (row.fields[key] ?? []).some((v) => v.startsWith(text)) : row.all.some((v) => v.includes(text));
    return hit !== not;
  });
}
