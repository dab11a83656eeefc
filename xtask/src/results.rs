//! What a test run printed, counted.

/// What a skipped test or component prints, followed by `<name>: <why>`.
pub(crate) const SKIPPED: &str = "SKIPPED: ";

/// Sums over all test binaries of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Results {
    /// From the lines `test result:`.
    pub(crate) passed: u64,
    /// From the lines `test result:`.
    pub(crate) failed: u64,
    /// From the lines `test result:`; tests marked `#[ignore]`.
    pub(crate) ignored: u64,
    /// `<name>: <why>` of each line that says so, in order.
    pub(crate) skipped: Vec<String>,
}

impl Results {
    /// The line that ends a run.
    pub(crate) fn totals(&self) -> String {
        let mut line = format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed,
            self.skipped.len()
        );
        if self.ignored > 0 {
            line.push_str(&format!(", {} ignored", self.ignored));
        }
        line
    }

    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count_of(counts, "passed");
            self.failed += count_of(counts, "failed");
            self.ignored += count_of(counts, "ignored");
        }
        // A test may print behind its own unfinished line: `test a_name ... SKIPPED: …`.
        let start = line.starts_with(SKIPPED).then_some(0);
        let behind = || line.find(&format!(" ... {SKIPPED}")).map(|at| at + " ... ".len());
        if let Some(at) = start.or_else(behind) {
            let what = line[at + SKIPPED.len()..].trim().to_owned();
            if !self.skipped.contains(&what) {
                self.skipped.push(what);
            }
        }
    }
}

/// The number before `word` in `ok. 12 passed; 0 failed; …`.
fn count_of(counts: &str, word: &str) -> u64 {
    let words: Vec<&str> = counts.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find(|pair| pair[1] == word).map(|pair| pair[0]);
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Reads a run's output line by line, and tells which lines to show.
///
/// Test binaries are run with `--show-output`, because otherwise nobody would see that a test skipped itself. What
/// successful tests print is read but not shown.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What was read so far.
    pub(crate) results: Results,
    in_successes: bool,
}

impl Reader {
    /// A reader that adds to results so far.
    pub(crate) fn new(results: Results) -> Reader {
        Reader { results, in_successes: false }
    }

    /// Reads a line without its end. Returns whether to show it.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        let skipped_before = self.results.skipped.len();
        self.results.read(line);
        if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.in_successes = false;
        }
        !self.in_successes || self.results.skipped.len() > skipped_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 3 tests
test tests::a_torn_tail_is_cut ... ok
test tests::python_states ... SKIPPED: python states: no Python with the SDK
ok
test tests::js_states ... ok
test tests::late ... ignored

successes:

---- tests::js_states stdout ----
chatter
test result: a line of a test that is no result
SKIPPED: js states: no Node modules

successes:
    tests::a_torn_tail_is_cut
    tests::js_states

test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.31s

failures:
    tests::broken

test result: FAILED. 11 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
all doctests ran in 0.49s; merged doctests compilation took 0.18s
";

    fn read(output: &str) -> (Results, Vec<&str>) {
        let mut reader = Reader::new(Results::default());
        let shown = output.lines().filter(|line| reader.read(line)).collect();
        (reader.results, shown)
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let (results, _) = read(OUTPUT);
        assert_eq!((results.passed, results.failed, results.ignored), (14, 2, 1));
        assert_eq!(results.totals(), "14 passed, 2 failed, 2 skipped, 1 ignored");
        assert_eq!(read("").0.totals(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn skips_are_found_wherever_a_test_prints_them() {
        let (results, _) = read(OUTPUT);
        let wanted = ["python states: no Python with the SDK", "js states: no Node modules"];
        assert_eq!(results.skipped, wanted);
    }

    #[test]
    fn a_skip_that_is_printed_twice_counts_once() {
        let (results, _) = read("SKIPPED: kafka: no broker\nSKIPPED: kafka: no broker\n");
        assert_eq!(results.skipped, ["kafka: no broker"]);
    }

    #[test]
    fn output_of_successful_tests_is_not_shown_but_skips_are() {
        let (_, shown) = read(OUTPUT);
        assert!(!shown.contains(&"---- tests::js_states stdout ----"));
        assert!(shown.contains(&"SKIPPED: js states: no Node modules"));
        assert!(shown.contains(&"    tests::broken"));
        assert!(shown.contains(&"test tests::a_torn_tail_is_cut ... ok"));
    }
}
