// The API's document against the OpenAPI specification and a linter's rules: node tests/contract/openapi.mjs proto/openapi.yaml
import { createRequire } from 'node:module';

const require = createRequire(new URL('../package.json', import.meta.url));
const { createConfig, lint } = require('@redocly/openapi-core');

// There is no licence to name, and monitors' routes refuse nobody.
const rules = { 'info-license': 'off', 'operation-4xx-response': 'off' };
const [file] = process.argv.slice(2);
const problems = await lint({ ref: file, config: await createConfig({ extends: ['recommended-strict'], rules }) });
console.log(problems.map(({ ruleId, message, location }) => `${file}: ${location[0].pointer}: ${ruleId}: ${message}`).join('\n') || 'no faults');
process.exit(problems.length ? 1 : 0);
