// Kubernetes manifests against the API's own schemas: node tests/deploy/manifests.mjs FILE...
//
// Two checks an object: its model's validator knows types, required fields and formats; the compiler, over the model's
// type declarations, knows which fields there are, and so finds a misspelt one. Prints what is wrong; exit 1 then.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(new URL('../package.json', import.meta.url));
const ts = require('typescript');
const YAML = require('yaml');
const CUSTOM = { 'monitoring.coreos.com': '@kubernetes-models/prometheus-operator' };

function moduleOf(apiVersion) {
  const [group] = apiVersion.split('/');
  return `${CUSTOM[group] ?? 'kubernetes-models'}/${apiVersion}`;
}

function read(file) {
  return YAML.parseAllDocuments(fs.readFileSync(file, 'utf8')).map((document) => {
    const object = document.toJS() ?? {};
    return { object, name: `${file}: ${object.kind}/${object.metadata?.name}`, faults: document.errors.map((error) => error.message) };
  });
}

function model({ object }) {
  try {
    return require(moduleOf(object.apiVersion))[object.kind];
  } catch {
    return undefined;
  }
}

function schemaFaults(item) {
  const Model = model(item);
  if (!Model) return [`${item.object.apiVersion} ${item.object.kind} is not known`];
  try {
    new Model(item.object).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

// One virtual source file: a declaration an object, so that an error's line says which object it is about.
function source(items) {
  const lines = items.map(({ object }, index) => {
    const { apiVersion, kind, ...rest } = object;
    return `import { ${kind} as K${index} } from '${moduleOf(apiVersion)}'; `
      + `export const o${index}: NonNullable<ConstructorParameters<typeof K${index}>[0]> = ${JSON.stringify(rest)};`;
  });
  return lines.join('\n');
}

function fieldFaults(items) {
  const file = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../manifests-under-test.ts');
  const options = { noEmit: true, strict: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2020, module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler };
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  const text = source(items);
  host.readFile = (name) => (name === file ? text : readFile(name));
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...rest) => (name === file ? ts.createSourceFile(name, text, ...rest) : getSourceFile(name, ...rest));
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map((fault) => {
    const line = fault.file?.fileName === file ? fault.file.getLineAndCharacterOfPosition(fault.start).line : -1;
    return `${items[line]?.name ?? 'compiler'}: ${ts.flattenDiagnosticMessageText(fault.messageText, ' ')}`;
  });
}

const items = process.argv.slice(2).flatMap(read).filter(({ object, faults }) => object.kind || faults.length);
const faults = items.flatMap((item) => [...item.faults, ...schemaFaults(item)].map((fault) => `${item.name}: ${fault}`));
faults.push(...fieldFaults(items.filter((item) => model(item))));
console.log(faults.join('\n') || `${items.length} objects, no faults`);
process.exit(faults.length || !items.length ? 1 : 0);
