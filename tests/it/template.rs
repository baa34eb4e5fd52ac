//! Templates: what they write, where they stop, and that no value leaves its place.

use causeway::mcp::template::data::Data;
use causeway::mcp::template::place::Place;
use causeway::mcp::template::{Moment, RenderError, SyntaxError, Template};
use proptest::prelude::*;
use serde_json::{Value, json};

fn render(source: &str, data: &Value, place: Place) -> Result<String, RenderError> {
    let template: Template = source.parse().unwrap();
    let moment = Moment {
        now: chrono::DateTime::from_timestamp(1_767_225_599, 0).unwrap(),
        seed: 7,
    };
    template.render(&Data::parse(&data.to_string()).unwrap(), place, &moment)
}

fn sample() -> Value {
    json!({
        "args": {"a": "x", "n": 7, "list": ["p", "q"], "none": null, "big": 9_007_199_254_740_993_i64},
        "items": [{"name": "one", "ok": true}, {"name": "two", "ok": false}],
        "map": {"k1": "v1", "k2": "v2"},
    })
}

#[test]
fn templates_write_what_go_would() {
    let data = sample();
    for (source, expected) in [
        ("{{.args.a}}-{{.args.n}}-{{.args.missing}}", "x-7-"),
        (
            "{{ if .args.none }}a{{ else if eq .args.n 7 }}b{{ else }}c{{ end }}",
            "b",
        ),
        (
            "{{range .items}}[{{.name}}{{if .ok}}!{{end}}]{{end}}",
            "[one!][two]",
        ),
        (
            "{{range $i, $x := .items}}{{add $i 1}}={{$x.name}};{{end}}",
            "1=one;2=two;",
        ),
        (
            "{{range $k, $v := .map}}{{$k}}:{{$v}},{{end}}",
            "k1:v1,k2:v2,",
        ),
        ("{{range .args.nothing}}x{{else}}none{{end}}", "none"),
        (
            "{{range .items}}{{if .ok}}{{continue}}{{end}}{{.name}}{{break}}{{end}}",
            "two",
        ),
        ("{{with .args.a}}<{{.}}>{{end}}", "<x>"),
        ("{{$x := .args.n}}{{$x = add $x 1}}{{$x}}", "8"),
        ("{{ .args.list | join \", \" | upper }}", "P, Q"),
        ("{{ printf \"%03d %s\" .args.n .args.a }}", "007 x"),
        (
            "{{ .args.missing | default \"d\" }} {{ ternary \"y\" \"n\" true }}",
            "d y",
        ),
        (
            "{{ toJson .args.list }} {{ .args.a | b64enc | b64dec }}",
            "[\"p\",\"q\"] x",
        ),
        (
            "{{ .args.big }} {{ add .args.big 1 }}",
            "9007199254740993 9007199254740994",
        ),
        (
            "{{ gjson \"items.#(ok==true).name\" }} {{ len (gjson \"items.#.name\") }}",
            "one 2",
        ),
        (
            "{{ (index .items 1).name }} {{ index .map \"k2\" }}",
            "two v2",
        ),
        (
            "a {{- /* gone */ -}} b {{ and true .args.a }} {{ or .args.none \"o\" }}",
            "ab x o",
        ),
        (
            "{{ now | date \"2006-01-02\" }} {{ dateInZone \"15:04\" now \"Asia/Tokyo\" }}",
            "2025-12-31 08:59",
        ),
        (
            "{{ .args.a | quote }} {{ trunc 2 \"abc\" }} {{ replace \"b\" \"-\" \"abc\" }}",
            "\"x\" ab a-c",
        ),
        ("{{ `items.#.name` }}", "[\"one\",\"two\"]"),
    ] {
        assert_eq!(
            render(source, &data, Place::Plain).unwrap(),
            expected,
            "{source}"
        );
    }
}

#[test]
fn random_values_differ_within_and_between_renderings() {
    let template: Template = "{{uuidv4}} {{uuidv4}}".parse().unwrap();
    let at = |seed| {
        let moment = Moment {
            seed,
            ..Moment::default()
        };
        template
            .render(&Data::Missing, Place::Plain, &moment)
            .unwrap()
    };
    let first = at(1);
    let (a, b) = first.split_once(' ').unwrap();
    assert_ne!(a, b);
    assert_ne!(first, at(2));
    assert_eq!(uuid::Uuid::parse_str(a).unwrap().get_version_num(), 4);
}

#[test]
fn what_is_not_understood_is_refused_at_once() {
    for source in [
        "{{ .a",
        "{{ if .a }}",
        "{{ end }}",
        "{{ nothing .a }}",
        "{{ .a .b }}",
        "{{ (len .a }}",
        "{{ template \"x\" }}",
        "{{ gjson \"{a,b}\" }}",
        "{{ else }}",
        "{{ range $i, := .a }}{{end}}",
        "{{ | }}",
        "{{ . | }}",
        "{{ % }}",
    ] {
        assert!(source.parse::<Template>().is_err(), "{source}");
    }
    let deep = "{{if .a}}".repeat(200) + &"{{end}}".repeat(200);
    assert_eq!(deep.parse::<Template>().unwrap_err(), SyntaxError::TooDeep);
    let deep = format!("{{{{ {}.a{} }}}}", "(".repeat(200), ")".repeat(200));
    assert_eq!(deep.parse::<Template>().unwrap_err(), SyntaxError::TooDeep);
    let long = "x".repeat(70_000);
    assert_eq!(long.parse::<Template>().unwrap_err(), SyntaxError::TooLong);
}

#[test]
fn no_template_runs_or_writes_without_end() {
    let numbers: Vec<u32> = (0..2_000).collect();
    let data = json!({"l": numbers, "t": "x".repeat(100_000)});
    let nested = "{{range .l}}{{range $.l}}{{range $.l}}a{{end}}{{end}}{{end}}";
    assert_eq!(render(nested, &data, Place::Plain), Err(RenderError::Steps));
    let long = "{{range .l}}{{$.t}}{{end}}";
    assert!(matches!(
        render(long, &data, Place::Plain),
        Err(RenderError::Output | RenderError::Steps)
    ));
    assert_eq!(
        render("{{repeat 100000000 .t}}", &data, Place::Plain),
        Err(RenderError::Output)
    );
    assert_eq!(
        render("{{range 100000000000}}a{{end}}", &data, Place::Plain),
        Err(RenderError::Steps)
    );
    let doubling = "{{$x := .t}}".to_owned() + &"{{$x = cat $x $x}}".repeat(60) + "{{$x}}";
    assert!(render(&doubling, &data, Place::Plain).is_err());
    assert!(render("{{div 1 0}}", &data, Place::Plain).is_err());
}

/// Where a hostile value could get out, and a well-behaved one has to come through.
const JSON_TEMPLATE: &str = "{\"a\":\"{{.args.v}}\",\"b\":{{.args.v}},\"c\":{{toJson .args.v}},\
    \"d\":\"q(x: \\\"{{.args.v}}\\\")\",\"e\":\"{{.args.v | b64enc}}\"}";

#[test]
fn values_keep_their_type_and_their_digits_in_json() {
    let data = json!({"args": {"v": [1, 2.50]}});
    let text = render(
        "{\"v\":{{.args.v}},\"n\":{{.args.none}}}",
        &data,
        Place::Json,
    )
    .unwrap();
    assert_eq!(text, "{\"v\":[1,2.5],\"n\":null}");
    let big = Data::parse("{\"args\":{\"v\":12345678901234567890123}}").unwrap();
    let template: Template = "{\"v\":{{.args.v}}}".parse().unwrap();
    let text = template
        .render(&big, Place::Json, &Moment::default())
        .unwrap();
    assert_eq!(text, "{\"v\":12345678901234567890123}");
}

proptest! {
    #[test]
    fn no_text_leaves_its_place_in_json(value in "\\PC{0,40}|[\"\\\\{},:\\[\\]]{0,12}") {
        let data = json!({"args": {"v": value}});
        let text = render(JSON_TEMPLATE, &data, Place::Json).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<&String> = read.as_object().unwrap().keys().collect();
        prop_assert_eq!(names, ["a", "b", "c", "d", "e"]);
        prop_assert_eq!(&read["a"], &json!(value));
        let inner = read["d"].as_str().unwrap();
        let inner = inner.strip_prefix("q(x: ").unwrap().strip_suffix(')').unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(inner).unwrap(), value);
    }

    #[test]
    fn no_text_leaves_its_place_in_a_form(value in "\\PC{0,40}|[&=%+# ]{0,12}") {
        let data = json!({"args": {"v": value}});
        let text = render("a={{.args.v}}&b={{.args.v | urlquery}}", &data, Place::Form).unwrap();
        let read: Vec<(String, String)> =
            url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        prop_assert_eq!(read, [("a".to_owned(), value.clone()), ("b".to_owned(), value)]);
    }

    #[test]
    fn any_text_is_a_template_or_none(source in "\\PC{0,80}|(\\{\\{[a-z .|$()\"0-9-]{0,16}\\}\\}){0,6}") {
        if let Ok(template) = source.parse::<Template>() {
            let data = Data::parse("{\"a\":[1,{\"b\":\"c\"}],\"args\":{\"x\":2}}").unwrap();
            for place in [Place::Plain, Place::Json, Place::Form, Place::Xml] {
                let _ = template.render(&data, place, &Moment::default());
            }
            let stored = serde_json::to_string(&template).unwrap();
            prop_assert_eq!(serde_json::from_str::<Template>(&stored).unwrap(), template);
        }
    }
}

#[test]
fn the_fuzz_corpus_is_rendered_or_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/template");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let (source, data) = text.split_once('\u{1}').unwrap_or((&text, "{}"));
        let data = Data::parse(data).unwrap_or(Data::Missing);
        if let Ok(template) = source.parse::<Template>() {
            let written = template.render(&data, Place::Json, &Moment::default());
            assert!(written.is_ok_and(|text| text.len() < 2 << 20) || source.contains("range"));
        }
        seeds += 1;
    }
    assert!(seeds >= 5, "the corpus was not found");
}

#[test]
fn a_loop_that_is_left_at_once_costs_what_it_did() {
    let start = std::time::Instant::now();
    let source = "{{range 2000}}{{range 400000}}{{break}}{{end}}{{end}}done";
    assert_eq!(render(source, &json!({}), Place::Plain).unwrap(), "done");
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn long_numbers_and_long_names_weigh_as_much_as_texts() {
    let digits = "1".repeat(60_000);
    for data in [
        format!("{{\"d\":{digits}}}"),
        format!("{{\"d\":{{\"{digits}\":1}}}}"),
    ] {
        let source = "{{range 1000}}{{if eq $.d $.d}}{{end}}{{end}}";
        let template: Template = source.parse().unwrap();
        let data = Data::parse(&data).unwrap();
        let rendered = template.render(&data, Place::Plain, &Moment::default());
        assert_eq!(rendered, Err(RenderError::Steps));
    }
}
