//! What is logged, which is the affair of the program that runs the engine.

/// Changes what a running program logs.
pub trait LogControl: Send + Sync {
    /// The filter that counts now, such as `info`.
    fn filter(&self) -> String;

    /// From now on this filter counts.
    ///
    /// # Errors
    /// What is wrong with the filter.
    fn set_filter(&self, filter: &str) -> Result<(), String>;
}
