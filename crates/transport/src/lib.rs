//! How a function is called: HTTP.
