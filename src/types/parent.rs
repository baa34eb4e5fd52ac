//! The span of a client's that a request belongs to (W3C Trace Context).

/// What a client's `traceparent` says beside the trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub span: u64,
    pub sampled: bool,
}

impl Parent {
    /// Reads a W3C `traceparent` (version 00 and those that look like it). A request of ours without one is
    /// given one that ends as its trace id does: that is no parent.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-').skip(1);
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        if trace.len() != 32 || span.len() != 16 || trace.ends_with(span) {
            return None;
        }
        let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags.get(..2)?, 16).ok()?;
        Some(Self {
            span,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_parent_is_what_a_client_names() {
        let of = |span: &str, flags: &str| Parent::read(&format!("00-{TRACE}-{span}-{flags}"));
        let span = 0x00f0_67aa_0ba9_02b7;
        let parent = |sampled| Some(Parent { span, sampled });
        assert_eq!(of("00f067aa0ba902b7", "01"), parent(true));
        assert_eq!(of("00f067aa0ba902b7", "00"), parent(false));
        assert_eq!(of("00f067aa0ba902b7", "03"), parent(true));
        for (span, flags) in [
            ("0000000000000000", "01"),
            ("a3ce929d0e0e4736", "00"),
            ("00f067aa", "01"),
            ("00f067aa0ba902b7", "x1"),
            ("zzf067aa0ba902b7", "01"),
        ] {
            assert_eq!(of(span, flags), None, "{span}-{flags}");
        }
        assert_eq!(Parent::read(""), None);
    }
}
