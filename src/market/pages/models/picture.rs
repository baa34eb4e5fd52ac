//! Where a model leads, as a drawing and as rows of a table. Everything is worked out here: a template only
//! writes it down.

use std::collections::BTreeMap;

use crate::llm::live::StoredModel;
use crate::llm::route::Target;
use crate::market::language::{Html, Language};
use crate::market::pages::models::canary::{percent, who};
use crate::market::pages::models::targets::only_after;

/// The drawing is as wide as this, and as high as it needs to be.
pub const WIDTH: i64 = 640;
/// The boxes of names, on the left.
pub const NAME_WIDTH: i64 = 168;
pub const NAME_HEIGHT: i64 = 44;
/// The boxes of targets, on the right.
pub const LEFT: i64 = 256;
pub const BOX_WIDTH: i64 = WIDTH - LEFT - EDGE;
pub const BOX_HEIGHT: i64 = 52;
const GAP: i64 = 10;
/// Between the targets of one tier and of the next: what stands there says when those are asked.
const TIER_GAP: i64 = 46;
/// Between a name and the one that takes over.
const EXHAUST_GAP: i64 = 46;
const EDGE: i64 = 2;
/// How many letters fit into a box; wide ones are two.
const NAME_LETTERS: usize = 17;
const TARGET_LETTERS: usize = 36;
/// How thick the line is to a target that gets everything.
const LINE_MAX: u64 = 8;

/// A drawing.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub height: i64,
    /// The name, as far as it fits, and how far down its box begins.
    pub name: String,
    pub name_y: i64,
    pub targets: Vec<Drawn>,
    pub tiers: Vec<Next>,
    /// Where some requests go in place of those, or as well.
    pub asides: Vec<Aside>,
    /// The model that takes over once tokens or money are used up, and how far down.
    pub exhaust: Option<(String, i64)>,
    /// All of it in a few sentences.
    pub words: Html,
}

/// A target in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub y: i64,
    pub tier: u32,
    pub provider: String,
    /// As the provider names it, as far as it fits, and in full; `None`: as the caller does.
    pub model: Option<(String, String)>,
    /// Its part of its tier; `None`: it is asked only where the others fail.
    pub share: Option<String>,
    /// The faults it is for, if it is for some only.
    pub only: Option<Html>,
    /// How long the bar is that shows the share.
    pub bar: i64,
    /// The line from the name to it, and how thick; only in the first tier.
    pub line: Option<(String, u64)>,
}

/// A canary or a shadow: what it gets, how far down that stands, and its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    pub said: Html,
    pub y: i64,
    pub targets: Vec<Drawn>,
}

/// What leads from one tier to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub from: i64,
    pub to: i64,
}

impl Picture {
    pub fn of(name: &str, model: &StoredModel, language: Language) -> Self {
        let tiers = tiers(&model.settings.targets);
        let first = tiers.values().next().map_or(0, Vec::len);
        let first_height = stack_height(first).max(NAME_HEIGHT);
        let name_y = EDGE + (first_height - NAME_HEIGHT) / 2;
        let mut picture = Self {
            name: fitting(name, NAME_LETTERS),
            name_y,
            words: words(&tiers, model, language),
            ..Self::default()
        };
        let from = name_y + NAME_HEIGHT / 2;
        let mut y = EDGE + (first_height - stack_height(first)) / 2;
        for (place, targets) in tiers.values().enumerate() {
            if place > 0 {
                let from = y - GAP;
                y += TIER_GAP - GAP;
                picture.tiers.push(Next { from, to: y });
            }
            let line = (place == 0).then_some(from);
            picture
                .targets
                .extend(stack(targets, (&mut y, line), language));
        }
        for (said, targets, is_asked) in asides(model, language) {
            let heading = y + TIER_GAP / 2;
            y += TIER_GAP - GAP;
            let line = is_asked.then_some(from);
            let targets: Vec<&Target> = targets.iter().collect();
            picture.asides.push(Aside {
                said,
                y: heading,
                targets: stack(&targets, (&mut y, line), language),
            });
        }
        let mut bottom = (y - GAP).max(name_y + NAME_HEIGHT);
        if let Some(exhaust) = &model.on_exhaust {
            let at = name_y + NAME_HEIGHT + EXHAUST_GAP;
            picture.exhaust = Some((fitting(&exhaust.downgrade, NAME_LETTERS), at));
            bottom = bottom.max(at + NAME_HEIGHT);
        }
        picture.height = bottom + EDGE;
        picture
    }
}

/// What a canary and a shadow get, their targets, and whether they get anything now.
fn asides(model: &StoredModel, language: Language) -> Vec<(Html, &[Target], bool)> {
    let mut asides: Vec<(Html, &[Target], bool)> = Vec::new();
    if let Some(canary) = &model.settings.canary {
        let said = if canary.paused {
            language.say("models-aside-paused")
        } else {
            let said = language.say("models-aside-canary");
            said.with("who", who(canary, language))
        };
        asides.push((said.into(), &canary.targets, !canary.paused));
    }
    if let Some(shadow) = &model.settings.shadow {
        let said = language.say("models-aside-shadow");
        let said = said.with("share", percent(shadow.share));
        asides.push((said.into(), std::slice::from_ref(&shadow.target), true));
    }
    asides
}

/// Targets below each other from `y` on, which is where the next ones begin afterwards; `from`: how far down the lines
/// to them begin.
fn stack(
    targets: &[&Target],
    (y, from): (&mut i64, Option<i64>),
    language: Language,
) -> Vec<Drawn> {
    let all = whole(targets);
    let stack = targets.iter().map(|target| {
        let drawn = drawn(target, (all, *y), from);
        *y += BOX_HEIGHT + GAP;
        Drawn {
            only: only_after(target, language),
            ..drawn
        }
    });
    stack.collect()
}

/// What the weights of a tier come to: of those that are asked whatever happened.
pub fn whole(targets: &[&Target]) -> u64 {
    let plain = targets.iter().filter(|target| target.only_on.is_none());
    plain.map(|target| u64::from(target.weight)).sum()
}

/// The part of its tier that a target gets; `None`: it is asked only where others fail.
pub fn share_of(target: &Target, all: u64) -> Option<String> {
    let is_asked = target.only_on.is_none() && target.weight > 0;
    is_asked.then(|| share(target.weight.into(), all))
}

/// Targets by the order in which tiers are asked.
pub fn tiers(targets: &[Target]) -> BTreeMap<u32, Vec<&Target>> {
    let mut tiers: BTreeMap<u32, Vec<&Target>> = BTreeMap::new();
    for target in targets {
        tiers.entry(target.tier).or_default().push(target);
    }
    tiers
}

fn stack_height(boxes: usize) -> i64 {
    let boxes = i64::try_from(boxes).unwrap_or(i64::MAX / BOX_HEIGHT / 2);
    boxes * (BOX_HEIGHT + GAP) - GAP
}

/// A target of a tier whose weights come to `all`; `from`: how far down the line to it begins.
fn drawn(target: &Target, (all, y): (u64, i64), from: Option<i64>) -> Drawn {
    let share = share_of(target, all);
    let weight = share.as_ref().map_or(0, |_| u64::from(target.weight));
    let part = |length: u64| (weight * length).checked_div(all).unwrap_or(0);
    Drawn {
        y,
        tier: target.tier,
        provider: target.provider.clone(),
        model: target
            .model
            .as_ref()
            .map(|model| (fitting(model, TARGET_LETTERS), model.clone())),
        bar: i64::try_from(part(BOX_WIDTH.unsigned_abs())).unwrap_or(0),
        line: from.map(|from| {
            let to = y + BOX_HEIGHT / 2;
            let middle = i64::midpoint(NAME_WIDTH, LEFT);
            let path = format!("M{NAME_WIDTH} {from}C{middle} {from} {middle} {to} {LEFT} {to}");
            (path, part(LINE_MAX).max(1))
        }),
        share,
        only: None,
    }
}

/// A part of all as a percentage; what is less than half of one is not nothing.
fn share(weight: u64, all: u64) -> String {
    match (weight * 200 + all).checked_div(all * 2) {
        Some(0) => "<1%".to_owned(),
        Some(percent) => format!("{percent}%"),
        None => String::new(),
    }
}

/// A text as far as it fits, without its middle otherwise: names differ at their ends.
fn fitting(text: &str, letters: usize) -> String {
    let width = |c: char| if c > '\u{2e7f}' { 2 } else { 1 };
    if text.chars().map(width).sum::<usize>() <= letters {
        return text.to_owned();
    }
    let half = (letters - 1) / 2;
    let within = |chars: &mut dyn Iterator<Item = char>| -> String {
        let mut left = half;
        let kept = chars.take_while(|c| {
            let fits = width(*c) <= left;
            left = left.saturating_sub(width(*c));
            fits
        });
        kept.collect()
    };
    let begin = within(&mut text.chars());
    let end = within(&mut text.chars().rev());
    let end: String = end.chars().rev().collect();
    format!("{begin}…{end}")
}

/// What is asked when, and what takes over.
fn words(tiers: &BTreeMap<u32, Vec<&Target>>, model: &StoredModel, language: Language) -> Html {
    let sentences = tiers.values().enumerate().map(|(place, targets)| {
        let key = if place == 0 {
            "models-words-first"
        } else {
            "models-words-then"
        };
        let said = language.say(key).with("targets", named(targets, language));
        said.to_string()
    });
    let mut sentences: Vec<String> = sentences.collect();
    for (said, targets, _) in asides(model, language) {
        let targets: Vec<&Target> = targets.iter().collect();
        let aside = language.say("models-words-aside").with("said", said);
        let aside = aside.with("targets", named(&targets, language));
        sentences.push(aside.to_string());
    }
    if let Some(exhaust) = &model.on_exhaust {
        let said = language.say("models-words-exhaust");
        let said = said.with("name", exhaust.downgrade.clone());
        sentences.push(said.to_string());
    }
    // Each is a message, whose arguments are escaped.
    Html::trusted(sentences.join(" "))
}

/// The targets of a tier, with the part each gets or what it is for.
fn named(targets: &[&Target], language: Language) -> Html {
    let all = whole(targets);
    let named = targets.iter().map(|target| {
        let model = target.model.as_deref().unwrap_or("*");
        let of = Html::from(format!("{}/{model}", target.provider).as_str());
        let more = only_after(target, language);
        match more.or_else(|| share_of(target, all).map(|share| share.as_str().into())) {
            Some(more) => format!("{of} ({more})"),
            None => of.to_string(),
        }
    });
    let named: Vec<String> = named.collect();
    Html::trusted(named.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picture(targets: serde_json::Value) -> Picture {
        let stored = json!({ "targets": targets, "onExhaust": { "downgrade": "cheaper" } });
        let model = serde_json::from_value(stored).unwrap();
        Picture::of("fast", &model, Language::English)
    }

    #[test]
    fn tiers_stand_below_each_other_and_shares_are_parts_of_theirs() {
        let picture = picture(json!([
            { "provider": "late", "tier": 3 },
            { "provider": "groq", "model": "llama", "weight": 9 },
            { "provider": "openai", "model": "gpt" },
            { "provider": "spare", "weight": 0 },
        ]));
        let shown: Vec<(&str, Option<&str>, bool)> = picture
            .targets
            .iter()
            .map(|it| (it.provider.as_str(), it.share.as_deref(), it.line.is_some()))
            .collect();
        let expected = [
            ("groq", Some("90%"), true),
            ("openai", Some("10%"), true),
            ("spare", None, true),
            ("late", Some("100%"), false),
        ];
        assert_eq!(shown, expected);
        assert_eq!(picture.tiers.len(), 1);
        let mut ends = picture.targets.iter().map(|it| it.y + BOX_HEIGHT);
        assert!(ends.all(|end| end < picture.height));
        assert_eq!(
            picture.words.as_str(),
            "First: groq/llama (90%), openai/gpt (10%), spare/*. \
             Where those fail: late/* (100%). Once tokens or money are used up: cheaper."
        );
    }

    #[test]
    fn boxes_do_not_overlap_whatever_there_is() {
        for count in [1, 2, 7, 32] {
            let targets: Vec<_> = (0..count)
                .map(|n| json!({ "provider": "p", "tier": n % 3, "weight": n }))
                .collect();
            let picture = picture(json!(targets));
            let mut before = i64::MIN;
            for target in &picture.targets {
                assert!(target.y >= before, "{count}: {target:?}");
                before = target.y + BOX_HEIGHT;
                assert!((0..=BOX_WIDTH).contains(&target.bar));
            }
            let (_, exhaust) = picture.exhaust.as_ref().unwrap();
            assert!(exhaust + NAME_HEIGHT <= picture.height, "{count}");
            assert!(picture.name_y >= 0);
        }
    }

    #[test]
    fn canaries_and_shadows_stand_below_what_callers_usually_get() {
        let stored = json!({
            "targets": [{ "provider": "a" }, { "provider": "long", "onlyOn": ["context_length"] }],
            "canary": { "targets": [{ "provider": "b" }, { "provider": "c", "weight": 3 }], "share": 500 },
            "shadow": { "target": { "provider": "d", "model": "m" }, "share": 1 },
        });
        let of = |stored: &serde_json::Value| {
            let model = serde_json::from_value(stored.clone()).unwrap();
            Picture::of("fast", &model, Language::English)
        };
        let picture = of(&stored);
        let shares: Vec<Option<&str>> = picture
            .targets
            .iter()
            .map(|it| it.share.as_deref())
            .collect();
        assert_eq!(shares, [Some("100%"), None]);
        let [canary, shadow] = &picture.asides[..] else {
            panic!("{:?}", picture.asides)
        };
        assert!(picture.targets[1].y + BOX_HEIGHT < canary.y && canary.y < canary.targets[0].y);
        assert!(canary.targets[1].y + BOX_HEIGHT < shadow.y && shadow.y < shadow.targets[0].y);
        assert!(shadow.targets[0].y + BOX_HEIGHT < picture.height);
        assert_eq!(canary.targets[1].share.as_deref(), Some("75%"));
        assert_eq!(
            picture.words.as_str(),
            "First: a/* (100%), long/* (only after: too long). Canary, 5 % of callers: b/* (25%), c/* (75%). \
             Shadow, 0.01 % of requests, answers thrown away: d/m (100%)."
        );
        let mut paused = stored;
        paused["canary"]["paused"] = true.into();
        let picture = of(&paused);
        assert!(picture.asides[0].targets.iter().all(|it| it.line.is_none()));
    }

    #[test]
    fn long_names_keep_their_ends() {
        assert_eq!(fitting("short", 17), "short");
        assert_eq!(
            fitting("accounts/fireworks/models/llama-405b", 17),
            "accounts…ama-405b"
        );
        assert_eq!(fitting("模型名称很长很长很长很长", 9), "模型…很长");
    }

    #[test]
    fn shares_are_rounded() {
        for (weight, all, said) in [
            (1, 3, "33%"),
            (2, 3, "67%"),
            (1, 1000, "<1%"),
            (5, 5, "100%"),
        ] {
            assert_eq!(share(weight, all), said);
        }
    }
}
