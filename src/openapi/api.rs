//! The document as a whole: from its parts to one [`Api`].

use indexmap::IndexMap;
use serde_json::Value;

use crate::openapi::budget::Budget;
use crate::openapi::definition;
use crate::openapi::document::Document;
use crate::openapi::finding::{Code, Findings};
use crate::openapi::merge::Merger;
use crate::openapi::operation::Inherited;
use crate::openapi::pointer::Located;
use crate::openapi::reference::References;
use crate::openapi::schema::{Reading, Schemas};
use crate::openapi::{Api, DocumentError, DocumentLimits, Operation};

/// What a document without a title is called.
pub const UNTITLED: &str = "Untitled API";

impl<'a> Reading<'a> {
    pub fn new(document: &'a Document, limits: &DocumentLimits, findings: Findings) -> Self {
        Self {
            version: document.version,
            references: References::new(&document.root),
            schemas: Schemas::new(&document.root),
            findings,
            budget: Budget::new(limits),
        }
    }

    /// Walks over everything but the shared schemas.
    ///
    /// # Errors
    /// A limit was reached.
    pub fn api(
        &mut self,
        root: &Located<'a>,
        limits: &DocumentLimits,
    ) -> Result<Api, DocumentError> {
        let info = root.get("info");
        let about = |key: &str| info.as_ref().and_then(|info| info.text(key));
        let title = about("title").filter(|title| !title.trim().is_empty());
        let title = title.unwrap_or_else(|| {
            let message = "the document has no title";
            let pointer = info.as_ref().map_or("", |_| "/info");
            self.findings.add(Code::TitleMissing, pointer, message);
            UNTITLED.to_owned()
        });
        if root
            .get("webhooks")
            .is_some_and(|hooks| hooks.members().next().is_some())
        {
            let message = "the document's webhooks are not served";
            self.findings
                .add(Code::WebhooksIgnored, "/webhooks", message);
        }
        let servers = self.document_servers(root);
        let schemes = self.security_schemes(root);
        let security = self.security(root, &schemes).unwrap_or_default();
        let inherited = Inherited {
            root: root.clone(),
            servers,
            schemes,
            security,
            tags: self.tags(root),
            operations_max: limits.operations_max,
        };
        let operations = self.operations(&inherited)?;
        Ok(Api {
            version: self.version,
            title,
            revision: about("version").unwrap_or_default(),
            description: about("description").or(about("summary")),
            servers: inherited.servers,
            security_schemes: inherited.schemes,
            tags: inherited.tags,
            operations,
            definitions: IndexMap::new(),
            findings: Vec::new(),
        })
    }

    /// Reads the shared schemas, merges every `allOf`, and leaves out what nothing refers to.
    ///
    /// # Errors
    /// A limit was reached.
    pub fn finish(&mut self, api: &mut Api, limits: &DocumentLimits) -> Result<(), DocumentError> {
        self.drain();
        self.budget.check()?;
        self.schemas.finish();
        let pointers = &self.schemas.pointers;
        let mut merger = Merger::new(
            std::mem::take(&mut self.schemas.definitions),
            pointers,
            limits.expansions_max,
            &mut self.findings,
        );
        for operation in &mut api.operations {
            let pointer = operation.pointer.clone();
            for schema in schemas_mut(operation) {
                merger.schema(schema, &pointer);
            }
        }
        let schemas_of_all = api.operations.iter_mut().flat_map(schemas_mut);
        let mut definitions = merger.finish(schemas_of_all);
        definition::break_circles(&mut definitions, pointers, &mut self.findings);
        definition::prune(&mut definitions, api.operations.iter().flat_map(schemas));
        api.definitions = definitions;
        Ok(())
    }
}

/// Every schema of an operation.
pub fn schemas(operation: &Operation) -> impl Iterator<Item = &Value> {
    let bodies = operation.body.iter().flat_map(|body| &body.content);
    let answers = operation.responses.iter().flat_map(|r| &r.content);
    let media = bodies.chain(answers);
    operation
        .parameters
        .iter()
        .map(|parameter| &parameter.schema)
        .chain(media.flat_map(|media| std::iter::once(&media.schema).chain(&media.item_schema)))
}

fn schemas_mut(operation: &mut Operation) -> impl Iterator<Item = &mut Value> {
    let bodies = operation.body.iter_mut().flat_map(|body| &mut body.content);
    let answers = operation.responses.iter_mut().flat_map(|r| &mut r.content);
    let media = bodies.chain(answers);
    operation
        .parameters
        .iter_mut()
        .map(|parameter| &mut parameter.schema)
        .chain(
            media
                .flat_map(|media| std::iter::once(&mut media.schema).chain(&mut media.item_schema)),
        )
}
