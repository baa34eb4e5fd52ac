//! The conversion report: what was lost, guessed or worth knowing.

use crate::openapi::{Finding, Severity};

/// Findings shown of one severity; a document of 30,000 operations can have as many.
const ROWS_MAX: usize = 200;

/// Findings by severity, the worst first. Groups without findings are left out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub tools: usize,
    pub groups: Vec<FindingGroup>,
}

/// The findings of one severity.
#[derive(Clone, Debug)]
pub struct FindingGroup {
    /// `lost`, `warning` or `note`.
    pub severity: &'static str,
    /// A message's key.
    pub title: &'static str,
    pub count: usize,
    pub rows: Vec<FindingRow>,
    /// How many more there are than are shown.
    pub hidden: usize,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct FindingRow {
    pub code: String,
    pub message: String,
    pub fix: Option<String>,
    pub pointer: String,
    pub operation: Option<String>,
}

impl Report {
    /// The report on a server with so many tools.
    pub fn new(tools: usize, findings: &[Finding]) -> Self {
        Self::of(tools, findings, ROWS_MAX)
    }

    /// What somebody should look at first: a few of each severity, and no notes.
    pub fn brief(tools: usize, findings: &[Finding], rows_max: usize) -> Self {
        let mut report = Self::of(tools, findings, rows_max);
        report.groups.retain(|group| group.severity != "note");
        report
    }

    fn of(tools: usize, findings: &[Finding], rows_max: usize) -> Self {
        let groups = [
            (Severity::Lost, "lost", "report-lost"),
            (Severity::Warning, "warning", "report-warning"),
            (Severity::Note, "note", "report-note"),
        ];
        let groups = groups.into_iter().filter_map(|(severity, word, title)| {
            let of_this = || findings.iter().filter(move |f| f.severity == severity);
            let count = of_this().count();
            (count > 0).then(|| FindingGroup {
                severity: word,
                title,
                count,
                rows: of_this().take(rows_max).map(FindingRow::from).collect(),
                hidden: count.saturating_sub(rows_max),
            })
        });
        Self {
            tools,
            groups: groups.collect(),
        }
    }
}

impl From<&Finding> for FindingRow {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.to_string(),
            message: finding.message.clone(),
            fix: finding.fix.clone(),
            pointer: finding.pointer.clone(),
            operation: finding.operation.as_ref().map(|key| key.0.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding {
            pointer: "/paths".into(),
            severity,
            code: "x".into(),
            message: "m".into(),
            fix: None,
            operation: None,
        }
    }

    #[test]
    fn findings_are_grouped_the_worst_first_and_bounded() {
        let mut findings = vec![finding(Severity::Note); ROWS_MAX + 3];
        findings.push(finding(Severity::Lost));
        let report = Report::new(7, &findings);
        let seen: Vec<_> = report
            .groups
            .iter()
            .map(|g| (g.severity, g.count, g.rows.len(), g.hidden))
            .collect();
        assert_eq!(
            seen,
            [("lost", 1, 1, 0), ("note", ROWS_MAX + 3, ROWS_MAX, 3)]
        );
    }
}
