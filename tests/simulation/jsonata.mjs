// Evaluates the recorded expressions with the reference implementation, and writes what they result in.
// usage: node jsonata.mjs cases.json fixture.json
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const jsonata = createRequire(`${process.cwd()}/.local/jsonata/`)("jsonata");
const [, , cases, fixture] = process.argv;
const results = [];
for (const [expression, scopes] of Object.entries(JSON.parse(readFileSync(cases, "utf8")))) {
  for (const scope of scopes) {
    const result = { expression, scope };
    try {
      const value = await jsonata(expression).evaluate(undefined, scope);
      if (value !== undefined) result.value = JSON.parse(JSON.stringify(value));
    } catch (error) {
      result.error = error.code;
    }
    results.push(result);
  }
}
writeFileSync(fixture, `[\n${results.map((result) => JSON.stringify(result)).join(",\n")}\n]\n`);
