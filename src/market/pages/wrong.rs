//! The field of a form that was refused, and why: marked, and said beside it.

use crate::market::language::Html;

/// The field that was refused, if one was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrong(Option<(String, Html)>);

/// A refusal, as it is said above a form and beside its field, where it is about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub text: Html,
    pub wrong: Wrong,
}

impl Refused {
    /// Of a field.
    pub fn at(field: impl Into<String>, text: Html) -> Self {
        Self {
            wrong: Wrong::at(field, text.clone()),
            text,
        }
    }

    /// Of a form as a whole.
    pub fn whole(text: Html) -> Self {
        Self {
            text,
            wrong: Wrong::default(),
        }
    }
}

impl Wrong {
    /// A field by its name in the form, and the sentence that says why.
    pub fn at(field: impl Into<String>, why: Html) -> Self {
        Self(Some((field.into(), why)))
    }

    pub fn is_at(&self, field: &str) -> bool {
        self.0.as_ref().is_some_and(|(name, _)| name == field)
    }

    /// Why, where a field was refused.
    pub fn text(&self) -> Html {
        let why = self.0.as_ref().map(|(_, why)| why.clone());
        why.unwrap_or_default()
    }

    /// Attributes that a field has besides its own.
    pub fn mark(&self, field: &str) -> Html {
        if self.is_at(field) {
            let field = Html::from(field);
            let html = format!(r#" aria-invalid="true" aria-errormessage="{field}-fault""#);
            Html::trusted(html)
        } else {
            Html::default()
        }
    }

    /// What stands below a field.
    pub fn beside(&self, field: &str) -> Html {
        let why = self.0.as_ref().filter(|(name, _)| name == field);
        why.map_or_else(Html::default, |(_, why)| said(field, why))
    }

    /// What stands below a row of fields, whose names begin and end so.
    pub fn below(&self, prefix: &str, row: &usize) -> Html {
        let end = format!("-{row}");
        let is_in = |name: &str| {
            let field = name
                .strip_prefix(prefix)
                .and_then(|it| it.strip_suffix(&end));
            field.is_some_and(|field| !field.contains('-'))
        };
        let why = self.0.as_ref().filter(|(name, _)| is_in(name));
        why.map_or_else(Html::default, |(name, why)| said(name, why))
    }
}

fn said(field: &str, why: &Html) -> Html {
    let field = Html::from(field);
    Html::trusted(format!(
        r#"<span class="fault" id="{field}-fault" aria-live="polite">{why}</span>"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_field_that_was_refused_is_marked() {
        let wrong = Wrong::at("canary-weight-1", Html::from("too <much>"));
        assert_eq!(wrong.mark("canary-weight-0").as_str(), "");
        let mark = wrong.mark("canary-weight-1");
        assert!(
            mark.as_str()
                .contains("aria-errormessage=\"canary-weight-1-fault\"")
        );
        let said = "<span class=\"fault\" id=\"canary-weight-1-fault\" aria-live=\"polite\">too &#60;much&#62;</span>";
        assert_eq!(wrong.beside("canary-weight-1").as_str(), said);
        assert_eq!(wrong.below("canary-", &1).as_str(), said);
        // Not the rows of another form, nor another row.
        for (prefix, row) in [("", 1), ("canary-", 0), ("canary-", 11), ("shadow-", 1)] {
            assert_eq!(wrong.below(prefix, &row).as_str(), "", "{prefix} {row}");
        }
        assert_eq!(Wrong::default().mark("").as_str(), "");
    }
}
