// A document by somebody who wants the pages to be theirs. On every page that shows some of it: nothing
// runs, nothing is fetched, nothing of it is an element, and nothing pushes the page out of the screen.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { manage, serve, upstream } from "./serving.mjs";
import { NARROW, WIDE, overflow, person, setUp, speak } from "./visiting.mjs";

const LONG = "Donaudampfschiff".repeat(320).slice(0, 5000);
const TURNED = "\u202Edetrevni";
const SCRIPT = "<script class=planted>alert('planted')</script>";
const EVIL = [
    SCRIPT,
    "<img class=planted src=https://evil.example/x.png onerror=alert(1)>",
    "<svg class=planted onload=alert(1)><animate onbegin=alert(1) attributeName=x></svg>",
    "<a class=planted href=javascript:alert(1)>click</a> [click](javascript:alert(1)) ![x](https://evil.example/y.png)",
    "<form class=planted action=https://evil.example method=post><button>Sign in</button></form>",
    "<div class=planted hx-get=/account hx-trigger=load data-hx-post=/logout>x</div>",
    "</title></textarea></select></option></code></pre></details></section></main></body></html>",
    "\"'><b class=planted onmouseover=alert(1) style=position:fixed;inset:0>",
    "<iframe class=planted src=https://evil.example></iframe><base href=https://evil.example/><meta http-equiv=refresh content=0;url=https://evil.example>",
    "{{ 7 * 7 }} {% raw %} ${7*7} <%= 7 %> ]]> <!--",
    TURNED,
    LONG,
];
const ALL = EVIL.join("\n\n");

function document(url) {
    const parameter = (text, index) => ({
        name: text.slice(0, 300), in: "query", description: ALL, example: text,
        schema: index % 2 ? { type: "string", default: text, examples: [text] } : { type: "string", enum: [text, LONG] },
    });
    const operation = (text, index) => [`/${index}`, {
        get: {
            operationId: text, summary: text, description: ALL, tags: [text, LONG], externalDocs: { url: "javascript:alert(1)", description: text },
            parameters: EVIL.map(parameter), responses: { 200: { description: ALL, content: { "application/json": { schema: { type: "object", title: text, description: ALL } } } } },
        },
        post: {
            operationId: `${text}-post`, summary: `${text} ${LONG}`, security: [{ [SCRIPT]: [] }],
            requestBody: { description: ALL, content: { "application/json": { example: { [text]: text }, schema: { type: "object", properties: { [text]: { type: "string", description: ALL }, fine: { type: "string" } } } } } },
            responses: { 200: { description: text } },
        },
    }];
    return {
        openapi: "3.1.0",
        info: {
            title: `${SCRIPT}${TURNED}${EVIL[1]}${LONG}`, version: EVIL[7], summary: ALL, description: ALL, termsOfService: "javascript:alert(1)",
            contact: { name: ALL, url: "javascript:alert(1)", email: `${SCRIPT}@evil.example` }, license: { name: ALL, url: "javascript:alert(1)" },
        },
        servers: [{ url, description: ALL }],
        tags: EVIL.map((name) => ({ name, description: ALL, externalDocs: { url: "javascript:alert(1)" } })),
        paths: Object.fromEntries(EVIL.map(operation)),
        components: { securitySchemes: { [SCRIPT]: { type: "apiKey", in: "header", name: "X-Key", description: ALL } } },
    };
}

export async function hostile(browser) {
    const api = await upstream({ "*": { [SCRIPT]: ALL, list: EVIL } });
    const served = await serve("--allow-upstream", api.address);
    const say = speak("en");
    const { context, page, calm } = await person(browser, served, { locale: "en" });
    await setUp(page, served, say);
    await manage(served, "POST", "/servers", { slug: "hostile", access: "open", document: JSON.stringify(document(api.url)) });
    await manage(served, "POST", "/servers", { slug: "hostile", document: JSON.stringify({ ...document(api.url), servers: [{ url: api.url }] }) });
    const { tools } = await manage(served, "GET", "/servers/hostile/tools");
    assert.ok(tools.length >= EVIL.length, "the operations became tools");
    await manage(served, "PUT", `/servers/hostile/tools/${tools[0].name}/curation`, { confirm: "human" });
    await callIt(served, tools);
    await furnishModels(served, api);

    const faults = [];
    const judge = async (name, shown = false) => {
        if (shown) assert.ok((await page.locator("body").innerText()).includes("<script class=planted>"), `${name} shows the text of the document`);
        for (const fault of await page.evaluate(planted)) faults.push(`${name}: ${fault}`);
        for (const viewport of [NARROW, WIDE]) {
            await page.setViewportSize(viewport);
            const wider = await overflow(page);
            if (wider > 0) faults.push(`${name} at ${viewport.width}: ${wider} pixels wider than the screen`);
        }
    };
    const visit = async (path, shown) => {
        const answer = await page.goto(path);
        assert.equal(answer.status(), 200, path);
        await judge(path, shown);
    };
    const tabs = ["", "/tools", "/review", "/connect", "/connect/status", "/health", "/versions", "/versions?compare=2", "/report", "/settings"];
    for (const tab of tabs) await visit(`/servers/hostile${tab}`, tab !== "/versions?compare=2");
    await visit(`/servers/hostile/tools?tag=${encodeURIComponent(TURNED)}`);
    for (const path of ["/", "/?q=planted", "/keys", "/admin/audit"]) await visit(path, path === "/");
    for (const path of ["/admin/providers", "/admin/providers/evil", "/admin/models", ...MODELS.map((name) => `/admin/models/${encodeURIComponent(name)}`)]) await visit(path);
    await page.goto("/admin/providers/evil");
    await page.getByRole("button", { name: say("providers-test-do"), exact: true }).click();
    await page.locator("#told").waitFor();
    await judge("what a provider lists");
    for (const path of ["/usage", "/usage?server=hostile", "/approvals"]) await visit(path);
    for (const { name } of tools.slice(0, 14)) await visit(`/servers/hostile/tools/${name}`, true);
    for (const button of ["tool-dry-run", "tool-call"]) {
        await page.goto(`/servers/hostile/tools/${tools[2].name}`);
        await page.getByRole("button", { name: say(button), exact: true }).click();
        await page.locator("#result").waitFor();
        await judge(`what ${button} answers`, true);
    }
    calm();
    assert.equal(faults.length, 0, `${faults.length} faults:\n${faults.slice(0, 60).join("\n")}`);
    console.log(`a hostile document of ${tools.length} tools on ${tabs.length + 17 + Math.min(tools.length, 14)} pages: text, and nothing else`);
    await context.close();
    await served.stop();
    await api.stop();
}

// Names of models have no spaces, which HTML does not need.
const MODELS = ["\"><img/class=planted/src=https://evil.example/x.png>", `${TURNED}-*`, LONG.slice(0, 200)];

// A provider that lists hostile names, and models that have some.
async function furnishModels(served, api) {
    api.says["/models"] = { data: EVIL.map((id) => ({ id })) };
    await manage(served, "PUT", "/providers/evil", { kind: "openai-compatible", parameters: { base_url: api.url }, allowUpstream: [api.address] });
    await manage(served, "PUT", "/providers/evil/keys/main", { value: "sk-<script/class=planted>-a-key" });
    const targets = MODELS.map((model, tier) => ({ provider: "evil", model, tier }));
    // Each goes on with another, which has to be there first.
    const put = (name, more) => manage(served, "PUT", `/models/${encodeURIComponent(name)}`, { targets, ...more });
    for (const name of MODELS) await put(name, {});
    for (const name of MODELS) await put(name, { onExhaust: { downgrade: MODELS.find((other) => other !== name) } });
}

// Calls with hostile arguments, one of which waits for a person to agree.
async function callIt(served, tools) {
    const client = new Client({ name: SCRIPT + TURNED, version: LONG.slice(0, 200) });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${served.url}/mcp/hostile`)));
    for (const { name } of tools.slice(0, 4)) {
        const { inputSchema } = (await client.listTools()).tools.find((tool) => tool.name === name) ?? {};
        const free = Object.entries(inputSchema?.properties ?? {}).find(([, schema]) => schema.type === "string" && !schema.enum);
        await client.callTool({ name, arguments: free ? { [free[0]]: ALL } : {} });
    }
    await client.close();
}

// In the page, with everything unfolded: what came from the document and is more than text.
function planted() {
    for (const details of globalThis.document.querySelectorAll("details")) {
        details.removeAttribute("name");
        details.open = true;
    }
    const faults = [];
    const tell = (why, element) => faults.push(`${why}: ${element.outerHTML.slice(0, 120)}`);
    const ours = "form.finder, #watch, #import, #key form";
    for (const element of globalThis.document.querySelectorAll("*")) {
        for (const { name } of element.attributes) {
            if (/^on/i.test(name)) tell(`the attribute ${name}`, element);
            if (/^(data-)?hx-/i.test(name) && !element.matches(ours)) tell(`the attribute ${name}`, element);
            if (name === "style" && !element.matches("html, body")) tell("a style", element);
        }
        if (element.matches(".planted, iframe, object, embed, base, marquee, animate")) tell("an element of the document's", element);
        if (element.matches("script") && new URL(element.src || "about:blank").origin !== location.origin) tell("a script", element);
        if (element.matches("a[href]") && !/^(https?|mailto|cursor|vscode):$/.test(new URL(element.href, location.href).protocol)) tell("a link", element);
        if (element.matches("form") && new URL(element.action, location.href).origin !== location.origin) tell("a form", element);
    }
    // Our own words stay as they are, whatever stands before them: their first sign is left of their last.
    for (const element of globalThis.document.querySelectorAll("a, .badge, button, th, dt, label")) {
        const text = element.firstChild;
        if (element.childNodes.length !== 1 || text.nodeType !== Node.TEXT_NODE || /[\u202A-\u202E\u2066-\u2069]/.test(text.data) || text.data.trim().length < 2) continue;
        const at = (index) => {
            const range = globalThis.document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + 1);
            return range.getBoundingClientRect();
        };
        const begin = text.data.search(/\S/);
        const [first, second] = [at(begin), at(begin + 1)];
        if (first.width > 0 && second.top === first.top && second.left < first.left) tell("turned around", element);
    }
    return faults;
}
