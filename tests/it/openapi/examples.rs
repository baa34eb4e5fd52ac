//! Every example document has a golden file that says all that is understood of it.

use std::fs;

use causeway::openapi::{DocumentError, DocumentLimits, read};

use crate::openapi::{examples, name_of, summary};

#[test]
fn examples_are_read_as_their_golden_files_say() {
    for path in examples() {
        let bytes = fs::read(&path).unwrap();
        let once = told(&bytes);
        assert_eq!(once, told(&bytes), "{path:?} gives two different answers");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name_of(&path), once);
        });
    }
}

#[test]
fn the_demo_documents_are_read_without_a_finding() {
    for (name, operations) in [("petstore.yaml", 6), ("bookshop.yaml", 19)] {
        let path = format!("{}/specs-examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let api = read(&fs::read(path).unwrap(), &DocumentLimits::default()).unwrap();
        assert_eq!(api.operations.len(), operations, "{name}");
        assert_eq!(api.findings, [], "{name}");
    }
}

fn told(bytes: &[u8]) -> String {
    match read(bytes, &DocumentLimits::default()) {
        Ok(api) => summary::summary(&api),
        Err(DocumentError::NoOperations { findings, .. }) => summary::findings(&findings),
        Err(error) => error.to_string(),
    }
}
