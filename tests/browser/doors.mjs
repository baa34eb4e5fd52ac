// Every page there is, read from the table of who may come (src/market/gate.rs), and where each is found
// in the catalog that the tests make. A row without an address fails the run: nothing goes unvisited.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { root } from "./serving.mjs";

// What a row asks of a visitor who only looks: nothing, to be signed in, or to have a role.
const SIGNED_IN = ["UseKeys", "OwnAccount", "AskModels"];

// Pattern by pattern, the addresses to look at. `null`: it answers no page, for the reason given.
const ADDRESSES = {
    "/": ["/", "/?q=ship", "/?q=nothing-is-called-that"],
    "/login": ["/login"],
    "/login/oidc": null, // only where there is an identity provider
    "/login/oidc/callback": null, // the same
    "/deleted": ["/deleted"],
    "/account/connections": ["/account/connections"],
    "/connect/{token}": null, // a link for one user, made by a call
    "/setup": ["/setup?token=used"],
    "/invite": (made) => [made.invite, "/invite?token=used"],
    "/reset": (made) => [made.reset],
    "/account": ["/account"],
    "/admin/users": ["/admin/users"],
    "/publish": ["/publish"],
    "/imports/{id}": (made) => [made.imported, made.failed].map((id) => `/imports/${id}`),
    "/servers/{slug}": ["/servers/harbour", "/servers/open-harbour"],
    "/servers/{slug}/tools": ["/servers/harbour/tools", "/servers/harbour/tools?q=nothing"],
    "/servers/{slug}/review": ["/servers/harbour/review", "/servers/open-harbour/review?q=ship"],
    "/servers/{slug}/connect": ["/servers/harbour/connect", "/servers/open-harbour/connect"],
    "/servers/{slug}/connect/status": ["/servers/harbour/connect/status"],
    "/servers/{slug}/health": ["/servers/harbour/health", "/servers/open-harbour/health"],
    "/servers/{slug}/versions": ["/servers/harbour/versions", "/servers/harbour/versions?compare=2"],
    "/servers/{slug}/report": ["/servers/harbour/report", "/servers/open-harbour/report"],
    "/servers/{slug}/tools/{tool}": ["/servers/harbour/tools/listShips", "/servers/open-harbour/tools/addShip"],
    "/servers/{slug}/settings": ["/servers/harbour/settings"],
    "/oauth/callback": ["/oauth/callback?error=access_denied"],
    "/keys": ["/keys"],
    "/docs": ["/docs", "/docs?q=nothing-is-called-that"],
    "/docs/{name}": (made) => made.guides,
    "/language": null, // leads back to where one was
    "/playground": ["/playground", "/playground?model=nothing-is-called-that"],
    "/usage": ["/usage"],
    "/usage/models": ["/usage/models", "/usage/models?period=30d&model=nothing-is-called-that"],
    "/approvals": ["/approvals"],
    "/admin/plans": ["/admin/plans", "/admin/plans?edit=small"],
    "/admin/consumers": ["/admin/consumers", "/admin/consumers?q=nobody"],
    "/admin/consumers/{name}": ["/admin/consumers/the%20harbour%20master"],
    "/admin/providers": ["/admin/providers"],
    "/admin/provider-kinds": ["/admin/provider-kinds"],
    "/admin/provider-kinds/{name}": ["azure", "ollama", "openai"].map((kind) => `/admin/provider-kinds/${kind}`),
    "/admin/providers/{name}": ["lighthouse", "moved", "fresh"].map((name) => `/admin/providers/${name}`),
    "/admin/models": ["/admin/models"],
    "/admin/models/{name}": ["/admin/models/harbour%2Fpilot", "/admin/models/lamp-%2A", "/admin/models/tried"],
    "/admin/audit": ["/admin/audit"],
    "/admin/health": ["/admin/health"],
    "/assets/{name}": null, // files of the pages
};

// Addresses that say that something is not right, and look like it.
const REFUSALS = ["token=used", "/oauth/callback"];

// Each page with who sees it of nobody, a member and an admin; `closed`: nobody is sent to sign in first.
export function doors(made) {
    const found = [];
    for (const { pattern, need } of rows()) {
        assert.ok(pattern in ADDRESSES, `${pattern} is a new page: say in tests/browser/doors.mjs where it is`);
        const addresses = ADDRESSES[pattern];
        if (addresses === null) continue;
        const all = need === "Nobody" || need === "Caller" ? ["nobody", "member", "admin"] : SIGNED_IN.includes(need) ? ["member", "admin"] : ["admin"];
        for (const path of typeof addresses === "function" ? addresses(made) : addresses) {
            const roles = all.filter((role) => sees(role, path, made));
            found.push({ path, roles, closed: !all.includes("nobody"), refuses: REFUSALS.some((part) => path.includes(part)) });
        }
    }
    const patterns = rows().map((row) => row.pattern);
    for (const pattern of Object.keys(ADDRESSES)) assert.ok(patterns.includes(pattern), `${pattern} is no page any more`);
    return found;
}

// A server that needs a key is not there for nobody in particular. The text of a guide is the same for
// everybody: one of them is looked at by all, the others by nobody in particular.
function sees(role, path, { guides }) {
    if (role === "nobody") return !path.startsWith("/servers/harbour");
    return !guides.slice(1).includes(path);
}

function rows() {
    const source = readFileSync(`${root}src/market/gate.rs`, "utf8");
    const table = source.split("pub const PAGES")[1].split("\n];")[0];
    const read = [...table.matchAll(/\(\s*"GET",\s*"([^"]+)",\s*(?:May\((\w+)\)|(\w+)),?\s*\)/g)];
    assert.equal(read.length, table.split('"GET"').length - 1, "every row of the table is read");
    assert.ok(read.length > 20, "the table of pages was found");
    return read.map(([, pattern, action, plain]) => ({ pattern, need: action ?? plain }));
}
