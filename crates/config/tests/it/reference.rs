//! The documentation that is generated is checked in.

use expect_test::expect_file;
use statera_config::{module_reference, settings_reference};

#[test]
fn the_reference_of_engine_settings_is_up_to_date() {
    expect_file!["../../../../docs/reference/engine-settings.md"].assert_eq(&settings_reference());
}

#[test]
fn the_reference_of_kinds_is_up_to_date() {
    expect_file!["../../../../docs/reference/module-yaml.md"].assert_eq(&module_reference());
}
