//! The probe of a server, checked before it is stored.

use crate::live::Entry;
use crate::market::api::Market;
use crate::mcp::call::probe;
use crate::mcp::server::ServerSettings;
use crate::problem::{Problem, ProblemKind};

const MINUTES: std::ops::RangeInclusive<u32> = 5..=1_440;
const ARGUMENTS_BYTES_MAX: usize = 8 << 10;

/// Whether a server may be probed as its settings say, or is not to be probed.
pub(super) async fn check(
    market: &Market,
    entry: &Entry,
    settings: &ServerSettings,
) -> Result<(), Problem> {
    let Some(probe) = &settings.probe else {
        return Ok(());
    };
    if !MINUTES.contains(&probe.every_minutes) {
        let detail = "`probe.everyMinutes` is 5 to 1440";
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let arguments = serde_json::to_string(&probe.arguments).unwrap_or_default();
    if arguments.len() > ARGUMENTS_BYTES_MAX {
        let detail = format!("`probe.arguments` has at most {ARGUMENTS_BYTES_MAX} bytes");
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    probe::check(&server, settings, probe).map_err(|error| {
        let detail = format!("`probe`: {error}");
        Problem::new(ProblemKind::Unprocessable, detail)
    })
}
