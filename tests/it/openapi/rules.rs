//! Rules one by one, where an example document would not show them clearly.

use causeway::openapi::{Api, DocumentError, DocumentLimits, Location, SpecVersion};

use crate::openapi::{read, summary};

const NOT_OPENAPI: &str = "not an OpenAPI document: it has neither `openapi` nor `swagger` at its root, \
    and is no Postman collection, HAR recording, curl command or Higress MCP server either";

fn codes(api: &Api) -> Vec<&str> {
    api.findings.iter().map(|f| f.code.as_ref()).collect()
}

/// A 3.1 document around the lines of `paths`.
fn document(paths: &str) -> String {
    format!(
        "openapi: 3.1.0\ninfo: {{title: T, version: '1'}}\nservers: [{{url: 'https://t.example'}}]\npaths:\n{paths}"
    )
}

#[test]
fn what_is_no_document_is_an_error_that_says_so() {
    for (text, message) in [
        ("", "the document is empty"),
        (" \n\t", "the document is empty"),
        ("\u{feff}", "the document is empty"),
        ("{\"foo\":1}", NOT_OPENAPI),
        ("<!DOCTYPE html><html></html>", NOT_OPENAPI),
        ("[1, 2]", NOT_OPENAPI),
        (
            "swagger: '1.2'",
            "version \"1.2\" is not supported; use Swagger 2.0 or OpenAPI 3.0, 3.1 or 3.2",
        ),
        (
            "openapi: 4.0.0",
            "version \"4.0.0\" is not supported; use Swagger 2.0 or OpenAPI 3.0, 3.1 or 3.2",
        ),
        (
            "openapi: 3.0.0",
            "the document has no usable operation; 0 were lost (see the findings)",
        ),
        (
            "openapi: 3.0.0\npaths: {/a: {get: 1, put: 2}}",
            "the document has no usable operation; 2 were lost (see the findings)",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), message, "{text:?}");
    }
    let error = read("a: [1,").unwrap_err().to_string();
    assert!(error.starts_with("not JSON or YAML: "), "{error}");
    let error = read("{\"a\": }}}").unwrap_err().to_string();
    assert!(error.starts_with("not JSON or YAML: "), "{error}");
    let error = causeway::openapi::read(b"openapi: \xff", &DocumentLimits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not JSON or YAML: not UTF-8 from byte 9 on; save it as UTF-8"
    );
}

#[test]
fn a_document_without_operations_says_why() {
    let Err(DocumentError::NoOperations { findings, .. }) =
        read("openapi: 3.1.0\ninfo: {title: T}\nwebhooks: {a: {post: {}}}")
    else {
        panic!("accepted");
    };
    let codes: Vec<&str> = findings.iter().map(|f| f.code.as_ref()).collect();
    assert_eq!(
        codes,
        ["webhooks-ignored", "servers-missing", "paths-missing"]
    );
}

#[test]
fn every_encoding_of_one_document_gives_one_api() {
    let text = document("  /ä: {get: {summary: 'ö'}}");
    let told = summary::summary(&read(&text).unwrap());
    let utf16 = |big: bool, mark: bool| -> Vec<u8> {
        let mark = mark.then_some(0xFEFF);
        mark.into_iter()
            .chain(text.encode_utf16())
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    };
    let marked = format!("\u{feff}{text}").into_bytes();
    for bytes in [
        marked,
        utf16(true, true),
        utf16(false, true),
        utf16(true, false),
        utf16(false, false),
    ] {
        let api = causeway::openapi::read(&bytes, &DocumentLimits::default()).unwrap();
        assert_eq!(summary::summary(&api), told);
    }
}

#[test]
fn versions_are_recognized_however_they_are_written() {
    for (declared, version) in [
        ("swagger: 2.0", SpecVersion::V2_0),
        ("swagger: '2.0'", SpecVersion::V2_0),
        ("openapi: 3.0", SpecVersion::V3_0),
        ("openapi: 3.0.0-rc2", SpecVersion::V3_0),
        ("openapi: 3.1", SpecVersion::V3_1),
        ("openapi: '3.2.0'", SpecVersion::V3_2),
    ] {
        let api = read(&format!("{declared}\npaths: {{/a: {{get: {{}}}}}}")).unwrap();
        assert_eq!(api.version, version, "{declared}");
    }
}

#[test]
fn yaml_means_what_authors_think_it_means() {
    let api = read(&document(
        "  /a:\n    get:\n      parameters:\n        - {name: country, in: query, schema: {enum: [no, yes, on, 02894, 1_000, 12e3x, ~]}}\n      responses:\n        200: {description: 1.10}",
    ))
    .unwrap();
    let operation = &api.operations[0];
    assert_eq!(
        operation.parameters[0].schema.to_string(),
        r#"{"enum":["no","yes","on","02894","1_000","12e3x",null]}"#
    );
    assert_eq!(operation.responses[0].status, "200");
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let api = read(&document(
        "  /a:\n    get: &get\n      summary: S\n      responses: {}\n    put:\n      <<: *get\n      summary: T",
    ))
    .unwrap();
    let summaries: Vec<_> = api
        .operations
        .iter()
        .map(|o| o.summary.as_deref())
        .collect();
    assert_eq!(summaries, [Some("S"), Some("T")]);
    assert_eq!(codes(&api), [""; 0]);
}

#[test]
fn duplicate_keys_keep_the_last_in_json_and_yaml() {
    let json = r#"{"openapi": "3.1.0", "info": {"title": "T", "title": "U"}, "servers": [{"url": "/"}],
        "paths": {"/a/b": {"get": {"tags": [{"x": 1, "x": 2}], "summary": "1", "summary": "2"}}}}"#;
    let yaml = "openapi: 3.1.0\ninfo:\n  title: T\n  title: U\nservers: [{url: /}]\npaths:\n  /a/b:\n    get:\n      tags: [{x: 1, x: 2}]\n      summary: '1'\n      summary: '2'";
    for text in [json, yaml] {
        let api = read(text).unwrap();
        assert_eq!(api.title, "U");
        assert_eq!(api.operations[0].summary.as_deref(), Some("2"));
        let pointers: Vec<&str> = api.findings.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/info/title",
                "/paths/~1a~1b/get/tags/0/x",
                "/paths/~1a~1b/get/summary"
            ]
        );
        assert_eq!(codes(&api), ["duplicate-key"; 3]);
    }
}

#[test]
fn json_with_comments_is_read_as_yaml() {
    let api =
        read("{\"openapi\": \"3.1.0\", # here\n \"paths\": {\"/a\": {\"get\": {},}},}").unwrap();
    assert_eq!(api.operations.len(), 1);
    assert!(codes(&api).contains(&"json-read-as-yaml"));
}

#[test]
fn swagger_without_a_host_is_relative() {
    let api = read("swagger: '2.0'\nbasePath: /v1\npaths: {/a: {get: {}}}").unwrap();
    assert_eq!(api.servers[0].url, "/v1");
    assert_eq!(codes(&api), ["title-missing", "servers-missing"]);
    let api = read("swagger: '2.0'\nhost: a.example\npaths: {/a: {get: {}}}").unwrap();
    assert_eq!(api.servers[0].url, "https://a.example");
    assert_eq!(codes(&api), ["title-missing", "scheme-guessed"]);
}

#[test]
fn swagger_with_two_bodies_uses_the_first() {
    let api = read(
        "swagger: '2.0'\ninfo: {title: T}\nhost: a\nschemes: [https]\npaths:\n  /a:\n    post:\n      parameters:\n        - {in: body, name: one, schema: {type: string}}\n        - {in: body, name: two, schema: {type: integer}}\n        - {in: formData, name: three, type: string}",
    )
    .unwrap();
    let body = api.operations[0].body.as_ref().unwrap();
    assert_eq!(body.content[0].schema.to_string(), r#"{"type":"string"}"#);
    assert_eq!(codes(&api), ["body-duplicate"]);
}

#[test]
fn odd_corners_have_their_findings() {
    let api = read(&document(
        "  /a:\n    get:\n      parameters:\n        - name: p\n          in: query\n          content: {application/json: {}, text/plain: {}}\n      responses: {200: {content: {application/json: {schema: {type: string, nullable: true}}}}}\n    additionalOperations: {'NOT A TOKEN': {}}",
    ))
    .unwrap();
    assert_eq!(
        codes(&api),
        ["parameter-content", "nullable-in-3-1", "method-invalid"]
    );
}

#[test]
fn what_is_left_out_of_a_body_is_told() {
    let api = read(&document(
        "  /a:\n    post: {requestBody: {content: {}}}\n    put: {requestBody: {content: {multipart/form-data: {encoding: {p: {$ref: '#/nowhere'}}}}}}",
    ))
    .unwrap();
    let found: Vec<(&str, &str)> = api
        .findings
        .iter()
        .map(|f| (f.code.as_ref(), f.pointer.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("body-invalid", "/paths/~1a/post/requestBody"),
            (
                "media-type-invalid",
                "/paths/~1a/put/requestBody/content/multipart~1form-data/encoding/p"
            ),
        ]
    );
}

#[test]
fn what_says_nothing_of_a_sequence_is_told() {
    let nested = "multipart/mixed: {schema: {type: array}, prefixEncoding: [{}, {contentType: multipart/mixed, prefixEncoding: [{}]}], itemEncoding: {$ref: '#/nowhere'}}";
    let both = "multipart/mixed: {itemSchema: {type: string}, encoding: {p: {}}, itemEncoding: {}}";
    let lines = "application/jsonl: {itemSchema: {type: string}, itemEncoding: {}}";
    let api = read(&document(&format!(
        "  /a:\n    post: {{requestBody: {{content: {{application/json: {{itemSchema: {{}}}}, {nested}}}}}}}\n    put: {{requestBody: {{content: {{{both}, {lines}}}}}}}",
    )))
    .unwrap();
    let (post, put) = (
        "/paths/~1a/post/requestBody/content",
        "/paths/~1a/put/requestBody/content",
    );
    let found: Vec<(&str, String)> = api
        .findings
        .iter()
        .map(|f| (f.code.as_ref(), f.pointer.clone()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "encoding-ignored",
                format!("{post}/multipart~1mixed/prefixEncoding/1")
            ),
            (
                "media-type-invalid",
                format!("{post}/multipart~1mixed/itemEncoding")
            ),
            ("item-schema-ignored", format!("{post}/application~1json")),
            ("encoding-ignored", format!("{put}/multipart~1mixed")),
            ("encoding-ignored", format!("{put}/application~1jsonl")),
        ]
    );
    let schemas: Vec<_> = api
        .operations
        .iter()
        .flat_map(|operation| &operation.body.as_ref().unwrap().content)
        .map(|media| media.schema.to_string())
        .collect();
    let texts = r#"{"type":"array","items":{"type":"string"}}"#;
    assert_eq!(schemas, ["true", r#"{"type":"array"}"#, texts, texts]);
}

#[test]
fn operations_override_the_parameters_of_their_path() {
    let api = read(&document(
        "  /a/{id}:\n    parameters:\n      - {name: id, in: path, required: true, schema: {type: string}}\n      - {name: q, in: query, schema: {type: string}}\n      - {name: q, in: header, schema: {type: string}}\n    get:\n      parameters:\n        - {name: q, in: query, required: true, schema: {type: integer}}\n        - {name: extra, in: query, schema: {type: boolean}}",
    ))
    .unwrap();
    let parameters: Vec<_> = api.operations[0]
        .parameters
        .iter()
        .map(|p| {
            (
                p.name.as_str(),
                p.location,
                p.required,
                p.schema["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        parameters,
        [
            ("id", Location::Path, true, "string"),
            ("q", Location::Query, true, "integer"),
            ("q", Location::Header, false, "string"),
            ("extra", Location::Query, false, "boolean"),
        ]
    );
}

/// The reference of an external parameter cannot be read, but the path says that it exists.
#[test]
fn external_references_do_not_lose_an_operation() {
    let api = read(&document(
        "  /a/{id}:\n    get:\n      parameters:\n        - $ref: 'other.yaml#/id'\n      requestBody: {$ref: 'https://other.example/body.json'}\n      responses:\n        200: {$ref: 'other.yaml#/ok'}\n        201: {content: {application/json: {schema: {type: array, items: {$ref: 'other.yaml'}}}}}",
    ))
    .unwrap();
    assert_eq!(
        codes(&api),
        [
            "ref-external",
            "path-parameter-missing",
            "ref-external",
            "ref-external",
            "ref-external"
        ]
    );
    let operation = &api.operations[0];
    assert_eq!(operation.parameters[0].name, "id");
    assert_eq!(
        operation.responses[0].content[0].schema.to_string(),
        r#"{"type":"array","items":{}}"#
    );
}

#[test]
fn siblings_of_a_reference_count_since_3_1() {
    let with = |version: &str| {
        let text = document(
            "  /a:\n    get:\n      parameters:\n        - name: p\n          in: query\n          schema: {$ref: '#/components/schemas/A', description: mine, minLength: 2}\ncomponents: {schemas: {A: {type: string, maxLength: 9}}}",
        );
        let api = read(&text.replace("3.1.0", version)).unwrap();
        api.operations[0].parameters[0].schema.to_string()
    };
    assert_eq!(
        with("3.0.0"),
        r##"{"$ref":"#/$defs/A","description":"mine"}"##
    );
    assert_eq!(
        with("3.1.0"),
        r#"{"description":"mine","minLength":2,"type":"string","maxLength":9}"#
    );
}

#[test]
fn local_definitions_and_ids_are_found() {
    let api = read(&document(
        "  /a:\n    post:\n      requestBody:\n        content:\n          application/json:\n            schema:\n              $id: https://t.example/order\n              type: object\n              properties:\n                one: {$ref: '#/$defs/Item'}\n                two: {$ref: 'https://t.example/item'}\n                three: {$ref: '#item'}\n              $defs:\n                Item: {$id: 'https://t.example/item', $anchor: item, type: integer}",
    ))
    .unwrap();
    let schema = &api.operations[0].body.as_ref().unwrap().content[0].schema;
    let one = schema["properties"]["one"].to_string();
    assert_eq!(schema["properties"]["two"].to_string(), one);
    assert_eq!(schema["properties"]["three"].to_string(), one);
    assert_eq!(
        api.definitions.values().next().unwrap().to_string(),
        r#"{"type":"integer"}"#
    );
    assert_eq!(codes(&api), [""; 0]);
}

#[test]
fn security_is_inherited_replaced_or_removed() {
    let api = read(&document(
        "  /a:\n    get: {}\n    put: {security: []}\n    post: {security: [{}, {k: []}]}\n    delete: {security: [nonsense]}\nsecurity: [{k: [], l: []}]\ncomponents: {securitySchemes: {k: {type: http, scheme: basic}, l: {type: http, scheme: bearer}}}",
    ))
    .unwrap();
    let told: Vec<String> = api
        .operations
        .iter()
        .map(|o| serde_json::to_string(&o.security).unwrap())
        .collect();
    assert_eq!(
        told,
        [
            r#"[{"k":[],"l":[]}]"#,
            "[]",
            r#"[{},{"k":[]}]"#,
            // Unreadable is not the same as "nothing is needed".
            r#"[{"k":[],"l":[]}]"#,
        ]
    );
}

/// 3.2: a tag may stand below another.
#[test]
fn an_operation_has_the_tags_above_its_own() {
    let api = read(
        "openapi: 3.2.0\ninfo: {title: T}\n\
         tags: [{name: fish}, {name: cod, parent: fish, kind: nav, summary: Cods}, {name: a, parent: b}, \
         {name: b, parent: a}, {name: lost, parent: nowhere}]\n\
         paths: {/c: {get: {tags: [cod, x]}}, /a: {get: {tags: [a, lost]}}}",
    )
    .unwrap();
    assert_eq!(api.operations[0].tags, ["cod", "x", "fish"]);
    assert_eq!(api.tags["cod"].summary.as_deref(), Some("Cods"));
    assert_eq!(api.tags["cod"].kind.as_deref(), Some("nav"));
    let found = api
        .findings
        .iter()
        .filter(|f| f.code == "tag-parent-invalid");
    let found: Vec<_> = found.map(|finding| finding.pointer.as_str()).collect();
    assert_eq!(found, ["/tags/2/parent", "/tags/4/parent"]);
    assert_eq!(
        api.operations[1].tags,
        ["a", "lost"],
        "the circle is open at `a`"
    );
}
