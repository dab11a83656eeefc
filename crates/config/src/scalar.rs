//! Single values: integers, durations, sizes, names, addresses, locations of files.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use statera_model::{FunctionType, Name};

use crate::FunctionPattern;
use crate::problem::quoted;
use crate::report::Wrong;
use crate::words;

pub(crate) type Parsed<T> = Result<T, Wrong>;

pub(crate) fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// As [`text`], but not nothing.
pub(crate) fn some_text(text: &str) -> Parsed<String> {
    match text.trim() {
        "" => Err(Wrong::new("the value is empty", "write the value, or remove the line")),
        _ => Ok(text.to_owned()),
    }
}

/// As YAML writes them: decimal, `0x…`, `0o…`, `_` between digits.
pub(crate) fn integer(text: &str) -> Parsed<i64> {
    let digits = text.trim().replace('_', "");
    let unsigned = digits.trim_start_matches(['-', '+']);
    let parsed = match unsigned.get(..2) {
        Some("0x") => i64::from_str_radix(&unsigned[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&unsigned[2..], 8).ok(),
        _ => digits.parse().ok(),
    };
    parsed.ok_or_else(|| {
        let message = format!("{} is not an integer", quoted(text));
        match size(text) {
            Ok(bytes) => Wrong::new(message, format!("write the number of bytes: `{bytes}`")),
            Err(_) => Wrong::new(message, "write a whole number, such as `1000`"),
        }
    })
}

/// An integer within bounds.
pub(crate) fn integer_between(text: &str, min: u64, max: u64) -> Parsed<u64> {
    let number = integer(text)?;
    match u64::try_from(number) {
        Ok(count) if (min..=max).contains(&count) => Ok(count),
        Ok(count) if count > max => {
            Err(Wrong::new(format!("`{number}` is too large"), format!("write at most `{max}`")))
        }
        _ => Err(Wrong::new(format!("`{number}` is too small"), format!("write at least `{min}`"))),
    }
}

/// A number from 0 to 1.
pub(crate) fn share(text: &str) -> Parsed<f64> {
    let number = text.trim().parse::<f64>().ok();
    number.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
        Wrong::new(
            format!("{} is not a share", quoted(text)),
            "write a number from 0 to 1, such as `0.01`",
        )
    })
}

pub(crate) fn count(text: &str) -> Parsed<usize> {
    integer_between(text, 1, u64::from(u32::MAX)).map(|count| count as usize)
}

pub(crate) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(Wrong::new(
            format!("{} is neither `true` nor `false`", quoted(text)),
            "write `true` or `false`",
        )),
    }
}

/// One of several words.
pub(crate) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
    let hint = match words::meant(text, choices.iter().map(|(name, _)| *name)) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("write one of {}", names.join(", ")),
    };
    Err(Wrong::new(format!("{} is not one of {}", quoted(text), names.join(", ")), hint))
}

const UNITS: &[(u64, &[&str])] = &[
    (86_400_000_000_000, &["d", "day", "days"]),
    (3_600_000_000_000, &["h", "hour", "hours"]),
    (60_000_000_000, &["min", "m", "minute", "minutes"]),
    (1_000_000_000, &["s", "sec", "secs", "second", "seconds"]),
    (1_000_000, &["", "ms", "milli", "millis", "millisecond", "milliseconds"]),
    // Both letters that look like a micro sign.
    (1_000, &["µs", "μs", "micro", "micros", "microsecond", "microseconds"]),
    (1, &["ns", "nano", "nanos", "nanosecond", "nanoseconds"]),
];

/// Longer ones could overflow where they are added to a time.
const DURATION_DAYS_MAX: u64 = 36_500;

/// `<integer> <unit>`, with or without blanks, in any case; without a unit it is milliseconds.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let (digits, unit) = number_and_unit(text);
    let wrong = |hint: String| Wrong::new(format!("{} is not a duration", quoted(text)), hint);
    let example =
        || "write an integer and a unit, such as `500ms`, `30s`, `2min` or `1h`".to_owned();
    if digits.is_empty() {
        return Err(wrong(example()));
    }
    if unit.starts_with(['.', ',']) {
        return Err(wrong(
            "fractions are not allowed; use a smaller unit, such as `1500ms` for `1.5s`".into(),
        ));
    }
    let Some((nanos, _)) = UNITS.iter().find(|(_, names)| names.contains(&unit.as_str())) else {
        return Err(wrong(format!(
            "`{unit}` is not a unit; the units are `d`, `h`, `min`, `s`, `ms`, `µs` and `ns`",
        )));
    };
    let max = Duration::from_secs(DURATION_DAYS_MAX * 86_400);
    let long = digits.parse::<u64>().ok().map(|n| u128::from(n) * u128::from(*nanos));
    match long.filter(|nanos| *nanos <= max.as_nanos()) {
        Some(nanos) => {
            let seconds = (nanos / 1_000_000_000) as u64;
            Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
        }
        None => Err(Wrong::new(
            format!("the duration {} is too long", quoted(text)),
            format!("write at most `{DURATION_DAYS_MAX}d`"),
        )),
    }
}

/// As a [`duration`] that is not zero.
pub(crate) fn positive_duration(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        Duration::ZERO => Err(Wrong::new(
            "the duration must be larger than 0",
            "for a wait that never ends write a long one, such as `1d`",
        )),
        positive => Ok(positive),
    }
}

const SIZE_UNITS: &[(&str, u32)] =
    &[("", 0), ("b", 0), ("kib", 10), ("mib", 20), ("gib", 30), ("tib", 40)];

/// Bytes: `1048576`, `1MiB`. At least 1.
pub(crate) fn size(text: &str) -> Parsed<usize> {
    let (digits, unit) = number_and_unit(text);
    let example = "write bytes or a size such as `64MiB`";
    let wrong = |hint: &str| Wrong::new(format!("{} is not a size", quoted(text)), hint);
    let Some((_, shift)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        let binary = SIZE_UNITS[2..]
            .iter()
            .find(|(name, _)| unit.starts_with(&name[..1]) && matches!(&unit[1..], "" | "b"));
        return Err(match binary {
            Some((name, _)) if !digits.is_empty() => wrong(&format!(
                "`{digits}{}iB` counts in powers of 1024 and is the unit to use",
                name[..1].to_uppercase()
            )),
            _ => wrong(example),
        });
    };
    let bytes =
        digits.parse::<usize>().ok().and_then(|n| n.checked_mul(1usize.checked_shl(*shift)?));
    match bytes {
        _ if digits.is_empty() => Err(wrong(example)),
        Some(0) => Err(Wrong::new("the size must be larger than 0", example)),
        // Positions within it are also counted by signed types.
        Some(bytes) if bytes <= isize::MAX as usize => Ok(bytes),
        _ => Err(Wrong::new(format!("the size {} is too large", quoted(text)), example)),
    }
}

fn number_and_unit(text: &str) -> (String, String) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    (text[..end].replace('_', ""), text[end..].trim().to_lowercase())
}

pub(crate) fn name(text: &str) -> Parsed<Name> {
    Name::parse(text).map_err(|_| {
        Wrong::new(
            format!("invalid name {}: it must be of the form `<namespace>/<name>`", quoted(text)),
            match text.matches('/').count() {
                0 => "put a namespace in front, such as `example/name`",
                1 => "neither the namespace nor the name may be empty",
                _ => "use exactly one slash; separate the parts of a namespace with dots",
            },
        )
    })
}

pub(crate) fn function(text: &str) -> Parsed<FunctionType> {
    let function = name(text)?;
    if text.contains('*') {
        return Err(Wrong::new(
            format!("{} is a pattern, but must be a single function", quoted(text)),
            "name the function: `<namespace>/<name>`",
        ));
    }
    Ok(function)
}

pub(crate) fn pattern(text: &str) -> Parsed<FunctionPattern> {
    let wrong = |hint: &str| {
        let message = format!(
            "invalid function pattern {}: only `<namespace>/<name>` or `<namespace>/*` are supported",
            quoted(text)
        );
        Wrong::new(message, hint)
    };
    let name = Name::parse(text).map_err(|_| match text {
        "*" | "*/*" => wrong("there is no pattern for all namespaces; write one endpoint for each"),
        _ => match text.trim_matches('*') {
            namespace if !namespace.is_empty() && !namespace.contains('/') => wrong(&format!(
                "write `{namespace}/*` for all functions of that namespace, or `{namespace}/<name>` for one"
            )),
            _ => wrong("use exactly one slash, with something on both sides; separate the parts of a namespace with dots"),
        },
    })?;
    if name.namespace().contains('*') {
        return Err(wrong(
            "`*` may only stand for the whole name; write one endpoint for each namespace",
        ));
    }
    match name.name() {
        "*" => Ok(FunctionPattern::Namespace(name.namespace().to_owned())),
        part if part.contains('*') => {
            Err(wrong("`*` may only stand for the whole name, not for a part of it"))
        }
        _ => Ok(FunctionPattern::Exact(name)),
    }
}

/// `host:port`, where the host is an IP address or `localhost`.
pub(crate) fn socket_address(text: &str) -> Parsed<SocketAddr> {
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    local.as_deref().unwrap_or(text).parse().map_err(|_| {
        let message = format!("{} is not an address to listen on", quoted(text));
        let port = text.trim_start_matches(':');
        match port.parse::<u16>() {
            Ok(port) => Wrong::new(
                message,
                format!(
                    "write `127.0.0.1:{port}` for this machine or `0.0.0.0:{port}` for all networks"
                ),
            ),
            Err(_) => {
                Wrong::new(message, "write an IP address and a port, such as `127.0.0.1:8080`")
            }
        }
    })
}

/// An IP address or `localhost`.
pub(crate) fn host_address(text: &str) -> Parsed<IpAddr> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| {
        Wrong::new(
            format!("{} is not an IP address", quoted(text)),
            "write `127.0.0.1` for this machine or `0.0.0.0` for all networks; the port goes into `port`",
        )
    })
}

pub(crate) fn port(text: &str) -> Parsed<u16> {
    integer_between(text, 0, u16::MAX.into()).map(|port| port as u16)
}

pub(crate) fn path(text: &str) -> Parsed<PathBuf> {
    match text {
        "" => Err(Wrong::new("the path is empty", "write the path of a file")),
        _ if text.contains('\0') => {
            Err(Wrong::new(format!("{} is not a path", quoted(text)), "remove the zero character"))
        }
        _ => Ok(PathBuf::from(text)),
    }
}

/// A plain path or a `file:` URI.
pub(crate) fn location(text: &str) -> Parsed<PathBuf> {
    if text.starts_with("classpath:") {
        return Err(Wrong::new(
            format!("{} is not available: there is no Java class path here", quoted(text)),
            "write the path of a file, such as `/etc/certs/ca.pem`",
        ));
    }
    let Some(uri) = text.strip_prefix("file:") else {
        return path(text);
    };
    let with_authority =
        uri.strip_prefix("//").map(|rest| rest.strip_prefix("localhost").unwrap_or(rest));
    let decoded = percent_decoded(with_authority.unwrap_or(uri));
    match decoded.filter(|decoded| decoded.starts_with('/')) {
        Some(decoded) => path(&decoded),
        None => Err(Wrong::new(
            format!("{} is not the URI of a local file", quoted(text)),
            "write `file:///` and an absolute path, or only the path",
        )),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        decoded.push(if byte == b'%' { (digit()? * 16 + digit()?) as u8 } else { byte });
    }
    String::from_utf8(decoded).ok()
}

/// RFC 6901.
pub(crate) fn json_pointer(text: &str) -> Parsed<String> {
    let wrong = |hint: String| Wrong::new(format!("{} is not a JSON pointer", quoted(text)), hint);
    if !text.is_empty() && !text.starts_with('/') {
        let parts = text.trim_start_matches('$').trim_start_matches('.').replace('.', "/");
        return Err(wrong(format!("write `/{parts}`")));
    }
    let mut escapes = text.split('~').skip(1);
    if !escapes.all(|rest| rest.starts_with(['0', '1'])) {
        return Err(wrong("write `~0` for `~` and `~1` for `/` within a name".into()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_all_the_units_of_flink() {
        for (text, expected) in [
            ("1day", Duration::from_secs(86_400)),
            ("15min", Duration::from_secs(900)),
            ("1minute", Duration::from_secs(60)),
            ("20seconds", Duration::from_secs(20)),
            ("30s", Duration::from_secs(30)),
            (" 2 H ", Duration::from_secs(7_200)),
            ("7 MilliS", Duration::from_millis(7)),
            ("250", Duration::from_millis(250)),
            ("3µs", Duration::from_micros(3)),
            ("3 micros", Duration::from_micros(3)),
            ("9ns", Duration::from_nanos(9)),
            ("0", Duration::ZERO),
            ("36500d", Duration::from_secs(36_500 * 86_400)),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for (_, names) in UNITS {
            for name in *names {
                assert!(duration(&format!("1 {name}")).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", "s", "-1s", "1.5s", "1x", "PT1S", "36501d", "99999999999999999999", "1 s s"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("512").unwrap(), 512);
        assert_eq!(size("1 KiB").unwrap(), 1024);
        assert_eq!(size("64MiB").unwrap(), 64 << 20);
        assert_eq!(size("2gib").unwrap(), 2 << 30);
        for text in ["", "MiB", "0", "-1", "64MB", "64M", "1.5GiB", "99999999999TiB", "é", "64é"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_are_those_of_yaml() {
        assert_eq!(integer("-1").unwrap(), -1);
        assert_eq!(integer("0x10").unwrap(), 16);
        assert_eq!(integer("0o17").unwrap(), 15);
        assert_eq!(integer("1_000").unwrap(), 1000);
        for text in ["", "1.0", "1e3", "ten", "0x", "--1", "99999999999999999999"] {
            assert!(integer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn locations_are_paths_or_file_uris() {
        for (text, expected) in [
            ("ca.pem", "ca.pem"),
            ("/etc/ca.pem", "/etc/ca.pem"),
            ("file:/etc/ca.pem", "/etc/ca.pem"),
            ("file:///etc/my%20ca.pem", "/etc/my ca.pem"),
            ("file://localhost/etc/ca.pem", "/etc/ca.pem"),
        ] {
            assert_eq!(location(text), Ok(PathBuf::from(expected)), "{text}");
        }
        for text in [
            "",
            "classpath:ca.pem",
            "file:ca.pem",
            "file://host/ca.pem",
            "file:///%zz",
            "file:///%",
        ] {
            assert!(location(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[0-9]{0,22}[a-zA-Zµ.]{0,4}|[~/$.a%0-9]{0,8}") {
            let _ = (integer(&text), duration(&text), size(&text), boolean(&text), port(&text));
            let _ = (name(&text), pattern(&text), function(&text), json_pointer(&text));
            let _ = (socket_address(&text), host_address(&text));
            let _ = (location(&text), location(&format!("file:{text}")));
        }

        #[test]
        fn every_duration_can_be_written(millis in 0..36_500 * 86_400_000_u64) {
            prop_assert_eq!(duration(&format!("{millis}ms")), Ok(Duration::from_millis(millis)));
        }
    }
}
