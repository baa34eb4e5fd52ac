// Swagger 2.0 documents as OpenAPI 3.0: reads JSON lines of [document], writes the same converted.
import { createInterface } from 'node:readline';
import converter from 'swagger2openapi';

for await (const line of createInterface({ input: process.stdin })) {
  const options = { patch: true, warnOnly: true, resolve: false };
  const { openapi } = await converter.convertObj(JSON.parse(line), options);
  process.stdout.write(`${JSON.stringify(openapi)}\n`);
}
