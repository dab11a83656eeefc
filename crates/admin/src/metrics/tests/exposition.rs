//! A strict reader of the two formats, for tests: what it refuses, Prometheus may refuse too.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::text::Format;

/// What was read.
pub(super) struct Exposition {
    /// The families, in order.
    pub(super) families: Vec<String>,
    /// Series with their labels in order, and their values.
    pub(super) samples: BTreeMap<String, f64>,
}

#[derive(Default)]
struct Reader {
    families: Vec<String>,
    samples: BTreeMap<String, f64>,
    family: Option<Family>,
}

struct Family {
    name: String,
    kind: Option<String>,
    unit: Option<String>,
    /// Buckets of each histogram: by its labels, the bounds and counts in order, the sum and the count.
    histograms: BTreeMap<String, Histogram>,
}

#[derive(Default)]
struct Histogram {
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

type Labels = BTreeMap<String, String>;

pub(super) fn parse(text: &str, format: Format) -> Result<Exposition, String> {
    let body = text.strip_suffix('\n').ok_or("the last line has no end")?;
    let mut reader = Reader::default();
    let mut lines: Vec<&str> = body.split('\n').collect();
    if format == Format::OpenMetrics && lines.pop() != Some("# EOF") {
        return Err("the last line is not `# EOF`".to_owned());
    }
    for line in lines {
        reader.line(line, format).map_err(|error| format!("{error} in `{line}`"))?;
    }
    reader.end_family()?;
    Ok(Exposition { families: reader.families, samples: reader.samples })
}

impl Reader {
    fn line(&mut self, line: &str, format: Format) -> Result<(), String> {
        match line.strip_prefix("# ") {
            None => self.sample(line, format),
            Some(head) => {
                let mut parts = head.splitn(3, ' ');
                let [what, name, rest] = [(); 3].map(|()| parts.next().unwrap_or_default());
                self.head(what, name, rest, format)
            }
        }
    }

    fn head(&mut self, what: &str, name: &str, rest: &str, format: Format) -> Result<(), String> {
        if what == "HELP" {
            self.end_family()?;
            check_name(name)?;
            if self.families.iter().any(|known| known == name) {
                return Err("a family for the second time".to_owned());
            }
            unescape(rest, format == Format::OpenMetrics)?;
            self.families.push(name.to_owned());
            let (kind, unit, histograms) = (None, None, BTreeMap::new());
            self.family = Some(Family { name: name.to_owned(), kind, unit, histograms });
            return Ok(());
        }
        let family = self.family.as_mut().filter(|family| family.name == name);
        let family = family.ok_or("not about the family that has begun")?;
        match what {
            "TYPE" if family.kind.is_none() => {
                let known = match format {
                    Format::Prometheus => ["counter", "gauge", "histogram"].contains(&rest),
                    Format::OpenMetrics => {
                        ["counter", "gauge", "histogram", "info"].contains(&rest)
                    }
                };
                family.kind = Some(known.then(|| rest.to_owned()).ok_or("an unknown type")?);
            }
            "UNIT" if format == Format::OpenMetrics && family.unit.is_none() => {
                if !name.ends_with(&format!("_{rest}")) {
                    return Err("a unit that is not part of the name".to_owned());
                }
                family.unit = Some(rest.to_owned());
            }
            _ => return Err("something else than HELP, TYPE or UNIT, or twice".to_owned()),
        }
        Ok(())
    }

    fn sample(&mut self, line: &str, format: Format) -> Result<(), String> {
        let family = self.family.as_mut().ok_or("a sample without a family")?;
        let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
        let value: f64 = value.parse().map_err(|_| "a value that is no number")?;
        let (name, mut labels) = read_series(series)?;
        check_name(name)?;
        let suffix = name.strip_prefix(&family.name).ok_or("a sample of another family")?;
        let kind = family.kind.as_deref().ok_or("a sample before its type")?;
        let shown = show(name, &labels);
        match (kind, suffix, format) {
            ("gauge", "", _)
            | ("counter", "_total", Format::OpenMetrics)
            | ("info", "_info", Format::OpenMetrics) => {}
            ("counter", "", Format::Prometheus) if name.ends_with("_total") => {}
            ("histogram", "_bucket", _) => {
                let bound = labels.remove("le").ok_or("a bucket without a bound")?;
                if format == Format::OpenMetrics && !bound.contains('.') && bound != "+Inf" {
                    return Err("a bound that is not written as a fraction".to_owned());
                }
                let bound: f64 = bound.parse().map_err(|_| "a bound that is no number")?;
                let histogram = family.histograms.entry(show("", &labels)).or_default();
                histogram.buckets.push((bound, value));
            }
            ("histogram", "_sum", _) => {
                family.histograms.entry(show("", &labels)).or_default().sum = Some(value);
            }
            ("histogram", "_count", _) => {
                family.histograms.entry(show("", &labels)).or_default().count = Some(value);
            }
            _ => return Err(format!("`{suffix}` has no place in a {kind}")),
        }
        if kind != "gauge" && (value < 0.0 || value.is_nan()) {
            return Err("less than nothing was counted".to_owned());
        }
        // So that both formats show bounds alike.
        let shown = shown.replace(".0\"}", "\"}").replace(".0\",", "\",");
        match self.samples.insert(shown, value) {
            None => Ok(()),
            Some(_) => Err("a series for the second time".to_owned()),
        }
    }

    fn end_family(&mut self) -> Result<(), String> {
        let Some(family) = self.family.take() else { return Ok(()) };
        family.kind.ok_or_else(|| format!("`{}` has no type", family.name))?;
        for (labels, histogram) in family.histograms {
            let wrong = |what| Err(format!("`{}{labels}`: {what}", family.name));
            let Histogram { buckets, sum, count } = histogram;
            if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
                return wrong("the buckets don't grow");
            }
            if buckets.last().copied() != count.map(|count| (f64::INFINITY, count)) {
                return wrong("the last bucket is not that of all");
            }
            if sum.is_none() {
                return wrong("no sum");
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (begins && legal).then_some(()).ok_or_else(|| format!("`{name}` is not a name"))
}

/// `name{label="value",...}`.
fn read_series(series: &str) -> Result<(&str, Labels), String> {
    let Some((name, rest)) = series.split_once('{') else { return Ok((series, Labels::new())) };
    let mut rest = rest.strip_suffix('}').ok_or("labels without an end")?;
    let mut labels = Labels::new();
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").ok_or("a label without a value")?;
        check_name(label)?;
        let end = end_of(quoted).ok_or("a value without an end")?;
        if !names.insert(label) {
            return Err("a label for the second time".to_owned());
        }
        labels.insert(label.to_owned(), unescape(&quoted[..end], true)?);
        rest = &quoted[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if rest.is_empty() => rest,
            _ => return Err("labels are not apart".to_owned()),
        };
    }
    Ok((name, labels))
}

/// Where the quote stands that ends a value.
fn end_of(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '"' if quotes => return Err("a quote that is not escaped".to_owned()),
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') if quotes => '"',
                other => return Err(format!("`\\{other:?}` means nothing")),
            },
            c => c,
        });
    }
    Ok(out)
}

fn show(name: &str, labels: &Labels) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<_> =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", quoted(value))).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

#[test]
fn what_is_wrong_is_refused() {
    let head = "# HELP a Help.\n# TYPE a gauge\n";
    let histogram = "# HELP h Help.\n# TYPE h histogram\n";
    let check = |text: &str| parse(text, Format::Prometheus);
    assert!(check(&format!("{head}a 1\n")).is_ok());
    assert!(check(&format!("{head}a{{b=\"c\\\"\",d=\"\"}} 1\n")).is_ok());
    assert!(check(&format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 2\nh_count 1\n")).is_ok());
    for wrong in [
        "a 1\n",
        &format!("{head}a 1"),
        &format!("{head}a x\n"),
        &format!("{head}b 1\n"),
        &format!("{head}a 1\na 1\n"),
        &format!("{head}a 1\n{head}a 1\n"),
        &format!("{head}a{{b=\"c\"d=\"e\"}} 1\n"),
        &format!("{head}a{{b=\"c\",b=\"e\"}} 1\n"),
        &format!("{head}a{{b=\"c\"\"}} 1\n"),
        &format!("{head}a{{b=\"\\x\"}} 1\n"),
        "# HELP a Help.\na 1\n",
        &format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 2\nh_count 2\n"),
        &format!("{histogram}h_bucket{{le=\"1\"}} 1\nh_sum 2\nh_count 1\n"),
        &format!(
            "{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 2\nh_count 1\n"
        ),
        &format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_count 1\n"),
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    assert!(parse(&format!("{head}a 1\n"), Format::OpenMetrics).is_err(), "no end");
}
