// Everything by keyboard: publish, search, run a tool, and the menu of a narrow screen. Where the focus is
// can be seen at each stop, and stays where it is when a part of the page is exchanged.
import assert from "node:assert/strict";
import { harbour, manage, serve, upstream } from "./serving.mjs";
import { NARROW, WIDE, menu, person, setUp, speak } from "./visiting.mjs";

const STOPS_MAX = 80;

export async function keyboard(browser) {
    const api = await upstream({ "/ships": [{ name: "Vasa" }] });
    const served = await serve("--allow-upstream", api.address);
    const say = speak("en");
    const { context, page, calm } = await person(browser, served, { locale: "en" });
    await setUp(page, served, say);
    await skip(page, say);
    await publish(page, say, api);
    await search(page, say);
    await run(page, say, api);
    await watch(page, say, served);
    await openMenu(page, say);
    calm();
    await context.close();
    await manage(served, "PATCH", "/servers/harbour", { access: "open" });
    await motion(browser, served);
    console.log("by keyboard: skip, publish, search, run, watch, menu; and motion is reduced: ok");
    await served.stop();
    await api.stop();
}

// Presses Tab until the element has the focus, and looks at each stop whether one sees where one is.
async function tabTo(page, locator) {
    await locator.first().waitFor();
    for (let stops = 0; stops < STOPS_MAX; stops += 1) {
        await page.keyboard.press("Tab");
        const fault = await page.evaluate(unseen);
        assert.equal(fault, null, `${page.url()}: the focus is not seen on ${fault}`);
        if (await focused(locator)) return;
    }
    assert.fail(`${page.url()}: ${STOPS_MAX} times Tab do not lead to ${locator}`);
}

function focused(locator) {
    return locator.first().evaluate((element) => element === document.activeElement);
}

// In the page: what has the focus, unless an outline around it is on the screen.
function unseen() {
    const element = document.activeElement;
    if (element === null || element === document.body) return null;
    const outlined = [null, "::after"].some((part) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(element, part);
        return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    });
    const { width, height, bottom, right } = element.getBoundingClientRect();
    const there = width > 1 && height > 1 && bottom > 0 && right > 0;
    return outlined && there ? null : element.outerHTML.slice(0, 160);
}

// The first stop leads past the menu.
async function skip(page, say) {
    await page.goto("/keys");
    await tabTo(page, page.getByRole("link", { name: say("frame-skip"), exact: true }));
    await page.keyboard.press("Enter");
    await tabTo(page, page.getByLabel(say("label-name"), { exact: true }));
    const passed = await page.evaluate(() => document.activeElement.closest("main") !== null);
    assert.ok(passed, "after skipping, the next stop is in the content");
}

async function publish(page, say, api) {
    const chooser = page.waitForEvent("filechooser");
    await page.goto("/publish");
    await tabTo(page, page.getByLabel(say("source-file"), { exact: true }));
    await page.keyboard.press("Enter");
    const document = { name: "harbour.json", mimeType: "application/json", buffer: Buffer.from(harbour(api.url)) };
    await (await chooser).setFiles(document);
    await tabTo(page, page.getByRole("main").getByRole("button", { name: say("publish-next"), exact: true }));
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/review$/);
    await tabTo(page, page.getByRole("button", { name: say("review-publish"), exact: true }));
    await page.keyboard.press("Enter");
    await page.getByText(say("done-published"), { exact: true }).waitFor();
}

// Results come while one types, and the focus stays in the field.
async function search(page, say) {
    await page.goto("/");
    const field = page.getByLabel(say("home-search"), { exact: true });
    const swapped = () => page.waitForResponse((response) => response.request().headers()["hx-request"] === "true");
    const found = page.getByRole("main").getByRole("link", { name: "Harbour", exact: true });
    await tabTo(page, field);
    const [none] = await Promise.all([swapped(), page.keyboard.type("qqqq")]);
    assert.equal(none.status(), 200);
    await page.getByText(say("home-nothing-matches", { query: "qqqq" })).first().waitFor();
    assert.ok(await focused(field), "the focus stays in the field when results are exchanged");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("ships");
    const before = await found.elementHandle();
    await page.keyboard.press("Enter");
    await page.waitForFunction((element) => !element.isConnected, before);
    await found.waitFor();
    assert.ok(await focused(field), "the focus stays in the field after Enter");
    await tabTo(page, found);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/servers\/harbour$/);
}

// Enter in a field calls the tool, and so does Enter on the button.
async function run(page, say, api) {
    await page.goto("/servers/harbour/tools");
    await tabTo(page, page.getByRole("link", { name: /^listShips/ }));
    await page.keyboard.press("Enter");
    const limit = page.getByLabel("limit", { exact: true });
    await tabTo(page, limit);
    await page.keyboard.type("1");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: say("trace-succeeded"), exact: true }).waitFor();
    assert.deepEqual(api.asked.splice(0), ["GET /ships?limit=1"], "Enter calls the tool");
    await tabTo(page, page.getByRole("button", { name: say("tool-dry-run"), exact: true }));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: say("trace-would-send"), exact: true }).waitFor();
    assert.deepEqual(api.asked.splice(0), [], "a dry run sends nothing");
    await tabTo(page, page.getByRole("button", { name: say("tool-call"), exact: true }));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: say("trace-succeeded"), exact: true }).waitFor();
    assert.deepEqual(api.asked.splice(0), ["GET /ships?limit=1"], "the button calls the tool");
}

// What arrives is asked for again and again; neither the focus nor what was unfolded is lost by it.
async function watch(page, say, served) {
    await page.goto("/servers/harbour/connect");
    const swapped = () => page.waitForResponse((response) => response.url().includes("/connect/status"));
    await swapped();
    const answer = await fetch(`${served.url}/mcp/harbour`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    assert.equal(answer.status, 401);
    const again = page.getByRole("link", { name: say("watch-again"), exact: true });
    await tabTo(page, again);
    const before = await page.locator("#watch").elementHandle();
    await swapped();
    await page.waitForFunction((element) => !element.isConnected, before);
    assert.ok(await focused(again), "the focus outlasts an exchange");
    await page.getByText(/401/).first().waitFor();
    const log = page.getByText(say("watch-events"), { exact: true });
    if ((await log.count()) === 0) return;
    await page.keyboard.press("Shift+Tab");
    assert.ok(await focused(log), "the log is the stop before");
    await page.keyboard.press("Enter");
    const open = await page.locator("#watch").elementHandle();
    await swapped();
    await page.waitForFunction((element) => !element.isConnected, open);
    assert.ok(await page.locator("#watch details").evaluate((details) => details.open), "what was unfolded stays unfolded");
    assert.ok(await focused(log), "the focus stays on what was unfolded");
}

// On a narrow screen the menu opens by a button, and Escape closes it.
async function openMenu(page, say) {
    await page.setViewportSize(NARROW);
    await page.goto("/");
    const opener = page.getByRole("button", { name: say("frame-menu"), exact: true });
    const entry = page.getByRole("link", { name: say("frame-keys"), exact: true });
    assert.equal(await entry.isVisible(), false, "the menu is folded");
    await tabTo(page, opener);
    await page.keyboard.press("Enter");
    await entry.waitFor();
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement.closest("nav") !== null), "the menu is the next stop");
    await page.keyboard.press("Escape");
    await entry.waitFor({ state: "hidden" });
    assert.ok(await focused(opener), "the focus is back on the button");
    await page.keyboard.press("Enter");
    await tabTo(page, entry);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/keys$/);
    await page.setViewportSize(WIDE);
    await menu(page, say);
    assert.ok(await entry.isVisible(), "on a wide screen the menu is always there");
}

// Nothing moves for whoever asked for that; for others, something does.
async function motion(browser, served) {
    for (const reducedMotion of ["reduce", "no-preference"]) {
        const { context, page } = await person(browser, served, { locale: "en", reducedMotion });
        await page.goto("/");
        const moving = await page.evaluate(() => [...document.querySelectorAll("*")].filter((element) => {
            const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(element);
            return parseFloat(transitionDuration) > 0 || animationName !== "none" || scrollBehavior === "smooth";
        }).length);
        if (reducedMotion === "reduce") assert.equal(moving, 0, "nothing moves");
        else assert.ok(moving > 0, "the test sees what moves");
        await context.close();
    }
}
