//! Where a message belongs in a distributed trace.

use std::fmt;

/// A span of a trace, as others may refer to it: the [W3C trace context](https://www.w3.org/TR/trace-context/) without
/// `tracestate`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace. Never zero.
    pub trace: [u8; 16],
    /// The span within it. Never zero.
    pub span: [u8; 8],
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// The bit of the flags that says that the trace is recorded.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// Parses the value of a header `traceparent`. `None` for what does not follow the specification, which is to be
    /// treated as if there were none. Versions to come may append parts, which are ignored.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<TraceContext> {
        let (parent, rest) = header.split_at_checked(55)?;
        let [version, trace, span, flags] = fields(parent)?;
        let mut context = TraceContext { trace: [0; 16], span: [0; 8], sampled: false };
        let (mut version_byte, mut flags_byte) = ([0], [0]);
        decode(version, &mut version_byte)?;
        decode(trace, &mut context.trace)?;
        decode(span, &mut context.span)?;
        decode(flags, &mut flags_byte)?;
        let known = match version_byte {
            [0] => rest.is_empty(),
            [0xff] => false,
            _ => matches!(rest, [] | [b'-', ..]),
        };
        context.sampled = flags_byte[0] & SAMPLED != 0;
        (known && context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }
}

/// Version, trace, span and flags, each followed by a hyphen or the end.
fn fields(parent: &[u8]) -> Option<[&[u8]; 4]> {
    let hyphens = [2, 35, 52].iter().all(|place| parent[*place] == b'-');
    hyphens.then(|| [&parent[..2], &parent[3..35], &parent[36..52], &parent[53..]])
}

/// Lower-case hexadecimal digits, twice as many as there are bytes.
fn decode(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (pair, byte) in digits.chunks_exact(2).zip(bytes) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// The value of a header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = TraceContext::parse(HEADER.as_bytes()).unwrap();
        assert!(context.sampled);
        assert_eq!(context.trace[0], 0x4b);
        assert_eq!(context.span[7], 0xb7);
        assert_eq!(context.to_string(), HEADER);
    }

    #[test]
    fn other_versions_may_say_more() {
        let later = format!("cc{}-what-the-future-will-be-like", &HEADER[2..]);
        assert!(TraceContext::parse(later.as_bytes()).is_some());
        assert!(TraceContext::parse(format!("{HEADER}-more").as_bytes()).is_none());
    }

    #[test]
    fn what_does_not_follow_the_specification_is_none() {
        for header in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
        ] {
            assert_eq!(TraceContext::parse(header.as_bytes()), None, "{header}");
        }
    }
}
