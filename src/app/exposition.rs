//! What a process tells Prometheus, in its text format (version 0.0.4).

use std::fmt::Write as _;

/// The text of an answer to a scrape.
#[derive(Default)]
pub struct Exposition(String);

/// What the samples of a family are.
#[derive(Clone, Copy)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A family whose samples are being written.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// Names and values; a name's dots are written as Prometheus writes names.
pub type Labels<'a> = [(&'static str, &'a str)];

impl Exposition {
    /// Begins a family of samples; `help` says what they are.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family {
            text: &mut self.0,
            name,
        }
    }

    /// A family of one sample.
    pub fn one(&mut self, (name, kind, help): (&'static str, Kind, &str), value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// What others wrote in the same format.
    pub fn append(&mut self, text: &str) {
        self.0.push_str(text);
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &Labels<'_>, value: f64) {
        self.write("", labels, None, value);
    }

    /// A histogram: where its buckets end and how many each of them holds, one more without an end, and
    /// the sum, in one unit.
    pub fn histogram(&mut self, labels: &Labels<'_>, (ends, counts): (&[f64], &[u64]), sum: f64) {
        let mut below = 0;
        for (place, count) in counts.iter().enumerate() {
            below += count;
            let end = ends.get(place).map_or("+Inf".to_owned(), f64::to_string);
            self.write("_bucket", labels, Some(&end), below as f64);
        }
        self.write("_sum", labels, None, sum);
        self.write("_count", labels, None, below as f64);
    }

    /// The same of times, counted in microseconds and told in seconds.
    pub fn seconds(&mut self, labels: &Labels<'_>, (ends, counts): (&[u64], &[u64]), sum: u64) {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let ends: Vec<f64> = ends.iter().map(|end| seconds(*end)).collect();
        self.histogram(labels, (&ends, counts), seconds(sum));
    }

    fn write(&mut self, suffix: &str, labels: &Labels<'_>, end: Option<&str>, value: f64) {
        let text = &mut *self.text;
        let _ = write!(text, "{}{suffix}", self.name);
        let mut before = '{';
        let end = end.map(|end| ("le", end));
        for (label, value) in labels.iter().copied().chain(end) {
            text.push(before);
            text.extend(label.chars().map(|it| if it == '.' { '_' } else { it }));
            text.push_str("=\"");
            text.extend(value.chars().flat_map(escaped));
            text.push('"');
            before = ',';
        }
        text.push_str(if before == ',' { "} " } else { " " });
        let _ = writeln!(text, "{value}");
    }
}

/// A character of a label's value.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let (first, second) = match character {
        '\\' => ('\\', Some('\\')),
        '"' => ('\\', Some('"')),
        '\n' => ('\\', Some('n')),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family("calls_total", Kind::Counter, "Calls.");
        family.sample(&[("a.server", "a\"b\\c\nd"), ("status", "ok")], 3.0);
        let mut family = exposition.family("seconds", Kind::Histogram, "Times.");
        family.histogram(&[("server", "a")], (&[0.5, 1.0], &[1, 0, 2]), 4.25);
        exposition.one(("up", Kind::Gauge, "One."), 1.0);
        let expected = r#"# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{a_server="a\"b\\c\nd",status="ok"} 3
# HELP seconds Times.
# TYPE seconds histogram
seconds_bucket{server="a",le="0.5"} 1
seconds_bucket{server="a",le="1"} 1
seconds_bucket{server="a",le="+Inf"} 3
seconds_sum{server="a"} 4.25
seconds_count{server="a"} 3
# HELP up One.
# TYPE up gauge
up 1
"#;
        assert_eq!(exposition.into_text(), expected);
    }
}
