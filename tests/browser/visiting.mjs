// Chromium, and people in it whose pages are watched for what no page of ours may do.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { root } from "./serving.mjs";

export const NARROW = { width: 390, height: 844 };
export const WIDE = { width: 1280, height: 900 };
export const PASSWORD = "a long password of tests";

export function launch() {
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

// Somebody with a browser of their own. `complaints` fills with every dialog, error and foreign request
// of their pages; `calm` fails if there were any. Statuses that a page is expected to have are no errors.
export async function person(browser, served, options = {}) {
    const context = await browser.newContext({ viewport: WIDE, baseURL: served.url, reducedMotion: "reduce", ...options });
    context.setDefaultTimeout(15_000);
    const complaints = [];
    context.on("page", (page) => {
        const complain = (text) => complaints.push(`${page.url()}: ${text}`);
        page.on("dialog", (dialog) => {
            complain(`a dialog: ${dialog.message()}`);
            return dialog.dismiss();
        });
        page.on("pageerror", (error) => complain(`an error in a script: ${error.message}`));
        page.on("console", (message) => {
            const status = message.text().startsWith("Failed to load resource") && message.location().url === page.url();
            if (message.type() === "error" && !status) complain(`on the console: ${message.text()} (${message.location().url})`);
        });
        page.on("request", (request) => {
            const url = request.url();
            if (!url.startsWith(`${served.url}/`) && !url.startsWith("data:")) complain(`a request to ${url}`);
        });
    });
    const page = await context.newPage();
    const calm = () => assert.deepEqual(complaints, [], "nothing that a page may not do");
    return { context, page, complaints, calm };
}

// The texts of the pages as people read them: `say("keys-title")`, with arguments where it has some.
export function speak(tag) {
    const source = readFileSync(`${root}locales/${tag}.ftl`, "utf8");
    const found = source.matchAll(/^([a-z0-9-]+) = (.*(?:\n(?:[ ]+.*|\}))*)/gm);
    const messages = new Map([...found].map(([, key, text]) => [key, text]));
    const plurals = new Intl.PluralRules(tag);
    return (key, given = {}) => {
        const message = messages.get(key);
        assert.ok(message !== undefined, `locales/${tag}.ftl has no ${key}`);
        const chosen = message.replace(/\{ \$(\w+) ->\n([^}]*(?:\{ \$\w+ \}[^}]*)*)\}/g, (_, name, block) => {
            const variants = new Map([...block.matchAll(/\[(\w+)\] (.*)/g)].map(([, label, text]) => [label, text]));
            return variants.get(plurals.select(given[name])) ?? variants.get("other");
        });
        const filled = chosen.replace(/\{ \$(\w+) \}/g, (_, name) => {
            assert.ok(name in given, `${key} wants ${name}`);
            return given[name];
        });
        return filled.replace(/<[^>]*>/g, "");
    };
}

// Opens the menu where the screen is too narrow to show it.
export async function menu(page, say) {
    const opener = page.getByRole("button", { name: say("frame-menu"), exact: true });
    if (await opener.isVisible()) await opener.click();
    return page.getByRole("navigation", { name: say("frame-main"), exact: true });
}

// Follows an item of the menu that is for admins: below another one on a wide screen, in the menu on a narrow one.
export async function administer(page, say, key) {
    const nav = await menu(page, say);
    const below = nav.getByRole("button", { name: say("frame-administration"), exact: true });
    if (await below.isVisible()) await below.click();
    await nav.getByRole("link", { name: say(key), exact: true }).click();
}

// Follows the setup link, which makes the first admin and signs them in.
export async function setUp(page, served, say, name = "ada") {
    await page.goto(served.setup);
    await page.getByLabel(say("login-name"), { exact: true }).fill(name);
    await page.getByLabel(say("account-new-password"), { exact: true }).fill(PASSWORD);
    await page.getByRole("button", { name: say("account-set-password"), exact: true }).click();
    await page.locator("form[action$='/logout']").waitFor({ state: "attached" });
}

export async function signIn(page, say, name) {
    await page.goto("/login");
    await page.getByLabel(say("login-name"), { exact: true }).fill(name);
    await page.getByLabel(say("login-password"), { exact: true }).fill(PASSWORD);
    await page.getByRole("button", { name: say("login-title"), exact: true }).click();
    await page.locator("form[action$='/logout']").waitFor({ state: "attached" });
}

// Waits until something is there and on the screen: a page scrolls to what its address names a moment after it is read.
export async function inSight(page, locator) {
    await locator.waitFor();
    const { height } = page.viewportSize();
    for (let tries = 0; ; tries += 1) {
        const { y } = await locator.boundingBox();
        if (y >= 0 && y < height) return;
        if (tries === 150) throw new Error(`${await locator.innerText()}: it is ${y} pixels down`);
        await page.waitForTimeout(100);
    }
}

// How far the page is wider than the screen.
export function overflow(page) {
    return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
