//! How many tokens a request has, about, where no provider counts them.

use crate::llm::chat::{ChatRequest, Part, Source, Tool};

/// What surrounds a turn or a tool in a model's own notation.
const AROUND: usize = 4;
/// A picture, a sound or a document whose size nobody knows.
const MEDIA: usize = 1_000;

/// More tokens than a model makes of a picture, whatever its size. Models see pictures in patches or tiles and make
/// them smaller first: 4,784 tokens at Anthropic, 10,000 patches at OpenAI, 16,384 at Qwen.
const PICTURE_TOKENS: u64 = 16_384;
/// GPT-4o mini counts 2,833 tokens for a picture and 5,667 for each of its tiles, of which there are eight at most
/// (<https://platform.openai.com/docs/guides/images-vision>).
const PICTURE_TOKENS_MINI: u64 = 2_833 + 8 * 5_667;
/// Sound has fewer tokens than one in so many bytes of base64: Gemini makes 32 of a second, and speech has no fewer than
/// 700 bytes of it.
const SOUND_BYTES_PER_TOKEN: u64 = 16;

/// The most tokens of a text, by half a token for each of its bytes.
const HALVES: [u8; 256] = halves();

/// Vocabularies make a token of two letters of a word or more, with the blank before it, and of a whole common character
/// of two or three bytes (Latin with accents, Greek, Cyrillic, Hebrew, Arabic; Japanese, Chinese, Korean). Of all else a
/// byte may be a token: digits, capitals, punctuation, and each byte of a rare character. What follows the first byte of
/// a character counts with it.
const fn halves() -> [u8; 256] {
    let mut halves = [2; 256];
    let mut byte = 0;
    while byte < halves.len() {
        halves[byte] = match byte {
            0x20 | 0x61..=0x7a => 1,
            0x80..=0xbf => 0,
            0..=0x7f | 0xc3 | 0xce..=0xd1 | 0xd7..=0xd9 => 2,
            0xe3..=0xe9 | 0xeb..=0xed => 3,
            0xc0..=0xdf => 4,
            0xe0..=0xef => 6,
            _ => 8,
        };
        byte += 1;
    }
    halves
}

/// More tokens than a text of any language has: one for each byte but for words and common characters, which have one for
/// every two bytes at most. Letters in no order that a vocabulary knows may have up to three quarters more.
pub fn bound(text: &[u8]) -> u64 {
    let (mut sum, mut before) = (0, 0);
    for byte in text {
        let halves = HALVES[usize::from(*byte)];
        // A letter alone is a token, too.
        let begins = halves == 1 && before != 1;
        sum += u64::from(halves) + u64::from(begins);
        before = halves;
    }
    sum.div_ceil(2)
}

/// The most tokens that a model makes of a picture.
pub fn picture_bound(model: &str) -> u64 {
    if model.contains("gpt-4o-mini") {
        PICTURE_TOKENS_MINI
    } else {
        PICTURE_TOKENS
    }
}

/// Pictures and sounds that stand in a request: the most tokens that their letters have, and the most of them where a
/// picture has at most `picture`. Those that have fewer by their letters are not among them.
pub fn media(request: &ChatRequest, picture: u64) -> (u64, u64) {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts.fold((0, 0), |sum, part| with_media(sum, part, picture))
}

fn with_media((letters, tokens): (u64, u64), part: &Part, picture: u64) -> (u64, u64) {
    let of = |source: &Source, kind: &str, most: &dyn Fn(u64) -> u64| {
        let Source::Inline { media_type, data } = source else {
            return (letters, tokens);
        };
        // Some providers take a document where a picture belongs, and read all of it.
        if !media_type.starts_with(kind) {
            return (letters, tokens);
        }
        let (own, most) = (bound(data.as_bytes()), most(data.len() as u64));
        if most >= own {
            return (letters, tokens);
        }
        (letters + own, tokens + most)
    };
    match part {
        Part::Image(image) => of(&image.source, "image/", &|_| picture),
        Part::Audio(audio) => of(&audio.source, "audio/", &|length| {
            length.div_ceil(SOUND_BYTES_PER_TOKEN)
        }),
        Part::ToolResult(result) => {
            let parts = result.parts.iter();
            parts.fold((letters, tokens), |sum, part| {
                with_media(sum, part, picture)
            })
        }
        _ => (letters, tokens),
    }
}

/// How many tokens a text has.
type Texts<'a> = &'a dyn Fn(&str) -> usize;

/// The tokens of everything a model is told, of which `texts` says how many a text has.
pub fn count(request: &ChatRequest, texts: Texts<'_>) -> u64 {
    let part = |it: &Part| part(it, texts);
    let system: usize = request.system.iter().map(part).sum();
    let turns = request.turns.iter().map(|turn| {
        let parts: usize = turn.parts.iter().map(part).sum();
        parts + AROUND
    });
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(function) => {
            let description = function.description.as_deref().unwrap_or_default();
            let schema = function.parameters.as_ref().map(ToString::to_string);
            let said = [
                function.name.as_str(),
                description,
                schema.as_deref().unwrap_or_default(),
            ];
            said.into_iter().map(texts).sum::<usize>() + AROUND
        }
        Tool::Opaque(opaque) => texts(&opaque.value.to_string()),
    });
    (system + turns.sum::<usize>() + tools.sum::<usize>()) as u64
}

fn part(part: &Part, texts: Texts<'_>) -> usize {
    match part {
        Part::Text(text) => texts(&text.text),
        Part::Refusal(text) => texts(text),
        Part::Thought(thought) => texts(&thought.text),
        Part::ToolCall(call) => texts(&call.name) + texts(&call.arguments) + AROUND,
        Part::ToolResult(result) => {
            let parts = result.parts.iter().map(|it| self::part(it, texts));
            parts.sum::<usize>() + AROUND
        }
        Part::Image(_) | Part::Audio(_) | Part::Document(_) => MEDIA,
        Part::Opaque(opaque) => texts(&opaque.value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::llm::dialect::Dialect;
    use crate::llm::vocabulary::Vocabulary;
    use crate::tokens;

    #[test]
    fn everything_a_model_is_told_counts() {
        let count = |body| {
            let request = Dialect::OpenaiChat.decode_request(body).unwrap();
            super::count(&request, &tokens::estimate)
        };
        let short = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
        let base = count(short.clone());
        let with = |field: &str, value| {
            let mut body = short.clone();
            body[field] = value;
            count(body)
        };
        let said = "a longer text with rather more words in it";
        let two =
            json!([{ "role": "system", "content": said }, { "role": "user", "content": "hello" }]);
        assert!(with("messages", two) >= base + 8);
        let tool = json!([{ "type": "function", "function": { "name": "f", "description": said, "parameters": {} } }]);
        assert!(with("tools", tool) >= base + 8);
    }

    #[test]
    fn no_text_has_more_tokens_than_its_bound() {
        let many = |text: &str| text.repeat(50);
        let code = include_str!("count.rs");
        let digits: String = (0..400_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_string())
            .collect();
        let apart = |by: &str| digits.split("").collect::<Vec<_>>().join(by);
        let hexadecimal = (0..400_u32).map(|n| format!("{:08x} ", n.wrapping_mul(2_654_435_761)));
        let hexadecimal = hexadecimal.collect::<Vec<_>>().concat();
        let texts = [
            "Words of a language that most texts are written in, and some marks; no more than that.".to_owned(),
            code.to_owned(),
            json!({ "a": code, "b": [1.5, -2, 1e9], "c": { "d": null } }).to_string(),
            apart(" "),
            apart(","),
            digits,
            hexadecimal,
            many("$#@!%^&*()_+{}|:<>?~`-=[];',./\\\""),
            many("a1b2,c3;d4_x.y/z "),
            many("XQJZKVWPFHMBGYCNLTRDSUIOEA"),
            many("aGVsbG8gd29ybGQhIFRoaXMgaXMgYmFzZTY0Lg=="),
            many("Привет, мир. Как дела сегодня? Всё хорошо. "),
            many("今天天气很好，我们去公园散步吧。"),
            many("今日はとても良い天気です。公園へ行きましょう。"),
            many("안녕하세요, 오늘 날씨가 정말 좋네요. "),
            many("مرحبا بالعالم، كيف حالك اليوم؟ "),
            many("नमस्ते दुनिया, आज आप कैसे हैं? "),
            many("မင်္ဂလာပါ ကမ္ဘာ "),
            many("ሰላም ለዓለም "),
            many("😀🧬🏳️‍🌈👩🏽‍🚀"),
            many("𓀀𓁐𐎠𝔘𝔫𝔦"),
        ];
        for text in &texts {
            let bound = super::bound(text.as_bytes());
            for vocabulary in [Vocabulary::O200k, Vocabulary::Cl100k] {
                let count = vocabulary.count(text) as u64;
                let said: String = text.chars().take(30).collect();
                assert!(count <= bound, "{said}: {count} of {bound}");
            }
        }
        // Of words it is little more than half a token for each letter.
        assert!(super::bound(texts[0].as_bytes()) <= texts[0].len() as u64 * 11 / 20);
    }

    #[test]
    fn pictures_have_the_most_tokens_at_the_model_that_makes_most_of_them() {
        for (model, most) in [
            ("gpt-4o-mini", 48_169),
            ("openai/gpt-4o-mini-2024-07-18", 48_169),
            ("gpt-4o", 16_384),
            ("claude-opus-4-7", 16_384),
        ] {
            assert_eq!(super::picture_bound(model), most, "{model}");
        }
    }
}
