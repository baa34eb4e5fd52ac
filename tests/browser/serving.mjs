// The real binary with a data directory of its own, and an API it calls, both over real sockets.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const root = new URL("../../", import.meta.url).pathname;
export const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const program = process.env.CAUSEWAY_BIN ?? join(target, "debug/causeway");
export const ADMIN_KEY = "an-admin-key-for-tests-in-a-browser";

// What runs and has to be ended, whatever happens.
const running = new Set();

export async function stopAll() {
    for (const stop of running) await stop();
}

// A server with an empty data directory: `url`, and `setup`, the link that makes the first admin.
export async function serve(...flags) {
    const work = mkdtempSync(join(tmpdir(), "causeway-browser-"));
    const log = join(work, "log");
    const given = ["serve", "--listen", "127.0.0.1:0", "--no-demo", "--data", join(work, "data"), "--json", ...flags];
    const environment = { ...process.env, CAUSEWAY__SECRETS__ADMIN_KEY: ADMIN_KEY };
    const child = spawn(program, given, { cwd: work, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    child.stderr.pipe(createWriteStream(log));
    const ended = once(child, "exit");
    const stop = async () => {
        running.delete(stop);
        child.kill();
        await ended;
        rmSync(work, { recursive: true, force: true });
    };
    running.add(stop);
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([once(lines, "line").then(([line]) => line), ended.then(() => null)]);
    if (first === null) throw new Error(`${program} ended at once: ${readFileSync(log, "utf8")}`);
    const { url, setup } = JSON.parse(first);
    return { url: url.replace(/\/$/, ""), setup, stop, log: () => readFileSync(log, "utf8") };
}

// The management API, as the operator calls it.
export async function manage(served, method, path, body) {
    const answer = await fetch(`${served.url}/api/v1${path}`, {
        method,
        headers: { "x-api-key": ADMIN_KEY, "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
}

// An API that notes what it was asked. `says` is what it answers by path; `hold` keeps a path waiting
// until `release`, or until the server is stopped.
export async function upstream(says = {}) {
    const asked = [];
    const held = new Map();
    const server = createServer(async (request, response) => {
        asked.push(`${request.method} ${request.url}`);
        const path = request.url.split("?")[0];
        await held.get(path)?.promise;
        const answer = says[path] ?? says["*"] ?? { asked: request.url };
        const text = typeof answer === "string" ? answer : JSON.stringify(answer);
        response.writeHead(200, { "content-type": typeof answer === "string" ? "application/yaml" : "application/json" });
        response.end(text);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const stop = async () => {
        running.delete(stop);
        server.closeAllConnections();
        server.close();
    };
    running.add(stop);
    const address = `127.0.0.1:${server.address().port}`;
    const hold = (path) => {
        let release;
        const promise = new Promise((resolve) => { release = resolve; });
        held.set(path, { promise, release });
    };
    return { address, url: `http://${address}`, asked, says, hold, release: (path) => held.get(path).release(), stop };
}

// A provider of models that speaks OpenAI's chat, takes one key, and says who it is. `asked`: the models.
export async function provider(name, key, models) {
    const asked = [];
    const server = createServer(async (request, response) => {
        let text = "";
        for await (const piece of request) text += piece;
        const answer = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
        if (request.headers.authorization !== `Bearer ${key}`) return answer(401, { error: { message: "that key is none of ours", type: "invalid_request_error" } });
        if (request.method === "GET") return answer(200, { object: "list", data: models.map((id) => ({ id, object: "model" })) });
        const { model } = JSON.parse(text);
        asked.push(model);
        answer(200, {
            id: "chatcmpl-1", object: "chat.completion", created: 1, model,
            choices: [{ index: 0, message: { role: "assistant", content: `I am ${name}.` }, finish_reason: "stop" }],
            usage: { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 },
        });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const stop = async () => {
        running.delete(stop);
        server.closeAllConnections();
        server.close();
    };
    running.add(stop);
    const address = `127.0.0.1:${server.address().port}`;
    return { name, key, address, url: `http://${address}/v1`, asked, stop };
}

// A provider whose answers come in pieces: `quick` says three words and ends on `finish`, any other model goes on until
// it is left. `open` counts answers under way.
export async function talker() {
    const state = { open: 0 };
    const { promise: finished, resolve: finish } = Promise.withResolvers();
    const server = createServer(async (request, response) => {
        let text = "";
        for await (const piece of request) text += piece;
        const { model } = JSON.parse(text);
        const say = (delta, finish_reason = null, more = {}) => {
            const chunk = { id: "c", object: "chat.completion.chunk", created: 1, model, choices: [{ index: 0, delta, finish_reason }], ...more };
            response.write(`data: ${JSON.stringify(chunk)}\n\n`);
        };
        response.writeHead(200, { "content-type": "text/event-stream" });
        state.open += 1;
        const words = model === "quick" ? ["quick", "quick", "quick"] : Array(10_000).fill("slow");
        let left = false;
        response.on("close", () => { left = true; });
        for (const word of words) {
            if (left) break;
            say({ role: "assistant", content: `${word} ` });
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        if (!left) {
            await finished;
            say({}, "stop");
            say({}, null, { choices: [], usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } });
            response.end("data: [DONE]\n\n");
        }
        state.open -= 1;
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const stop = async () => {
        running.delete(stop);
        server.closeAllConnections();
        server.close();
    };
    running.add(stop);
    const address = `127.0.0.1:${server.address().port}`;
    return { address, url: `http://${address}/v1`, state, finish, stop };
}

// The document of a small API: as it is first, with one parameter that leads nowhere; `mended`, without.
export function harbour(url, { title = "Harbour", mended = false } = {}) {
    const flag = mended
        ? { name: "flag", in: "query", schema: { type: "string" }, description: "Only ships under this flag." }
        : { $ref: "#/components/parameters/Flag" };
    const named = { name: "name", in: "path", required: true, schema: { type: "string" }, description: "What is painted on her bow." };
    const ship = { type: "object", properties: { name: { type: "string" }, length: { type: "number" } } };
    const fine = (schema) => ({ 200: { description: "Fine.", content: { "application/json": { schema } } } });
    return JSON.stringify({
        openapi: "3.0.3",
        info: { title, version: mended ? "2.0" : "1.0", description: "Ships that lie in the harbour. See the `ships` tag, or **ask** the master." },
        servers: [{ url }],
        tags: [{ name: "ships" }, { name: "quays" }],
        paths: {
            "/ships": {
                get: {
                    operationId: "listShips", summary: "List the ships", tags: ["ships"],
                    parameters: [{ name: "limit", in: "query", schema: { type: "integer", default: 20 }, description: "How many at most." }, flag],
                    responses: fine({ type: "array", items: ship }),
                },
                post: {
                    operationId: "addShip", summary: "Enter a ship", tags: ["ships"],
                    requestBody: { required: true, content: { "application/json": { schema: ship, example: { name: "Vasa", length: 69 } } } },
                    responses: fine(ship), security: [{ master: [] }],
                },
            },
            "/ships/{name}": {
                get: { operationId: "getShip", summary: "Find one ship", tags: ["ships"], parameters: [named], responses: fine(ship) },
                delete: { operationId: "sinkShip", summary: "Sink one ship", tags: ["ships"], parameters: [named], responses: fine(ship) },
            },
            "/quays": { get: { operationId: "listQuays", summary: "List the quays", tags: ["quays"], responses: fine({ type: "object" }) } },
        },
        components: { securitySchemes: { master: { type: "apiKey", in: "header", name: "X-Master" } } },
    });
}
