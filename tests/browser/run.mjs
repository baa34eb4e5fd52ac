// Runs the parts that are named, or all of them, and ends whatever it started.
import { asking } from "./asking.mjs";
import { hostile } from "./hostile.mjs";
import { keyboard } from "./keyboard.mjs";
import { pages } from "./pages.mjs";
import { routing } from "./routing.mjs";
import { stopAll } from "./serving.mjs";
import { launch } from "./visiting.mjs";
import { walks } from "./walks.mjs";

const PARTS = { walks, routing, asking, pages, hostile, keyboard };
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
const browser = await launch();
try {
    for (const name of wanted) {
        if (!PARTS[name]) throw new Error(`no part is called ${name}: ${Object.keys(PARTS).join(", ")}`);
        const began = performance.now();
        await PARTS[name](browser);
        console.log(`${name}: ok in ${((performance.now() - began) / 1000).toFixed(0)} s`);
    }
} finally {
    await browser.close();
    await stopAll();
}
