// Parse AsyncAPI documents with the reference parser; print its complaints, exit 1 on errors.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

async function main(files) {
  let failed = false;
  for (const file of files) {
    const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
    const errors = diagnostics.filter(({ severity }) => severity === 0);
    for (const { message, path } of errors) console.log(`${file}: ${path.join(".")}: ${message}`);
    if (!document || errors.length) failed = true;
    else console.log(`${file}: ${document.channels().all().length} channels`);
  }
  process.exit(failed ? 1 : 0);
}

main(process.argv.slice(2));
