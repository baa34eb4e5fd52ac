//! Documents in, `Api`s out: examples, real documents, hostile documents.

use causeway::openapi::{DocumentLimits, read};

#[test]
fn the_demo_documents_are_read_without_a_finding() {
    for (name, operations) in [("petstore.yaml", 6), ("bookshop.yaml", 19)] {
        let path = format!("{}/specs-examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let api = read(&bytes, &DocumentLimits::default()).unwrap();
        assert_eq!(api.operations.len(), operations, "{name}");
        assert_eq!(api.findings, [], "{name}");
    }
}
