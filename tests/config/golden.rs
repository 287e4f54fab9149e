//! Whole messages: each file of `tests/fixtures/bad` beside what is said of it. `NCOLONY_BLESS=1` writes them anew.

use std::fs;
use std::path::Path;

use ncolony::config;

use super::DEFAULTS;

// C01, C04, C05
#[test]
fn bad_files_are_told_as_the_fixtures_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad");
    let is_blessed = std::env::var_os("NCOLONY_BLESS").is_some_and(|value| value == "1");
    let mut count = 0;
    for entry in fs::read_dir(&dir).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "expected") {
            continue;
        }
        count += 1;
        let file = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let found = config::parse(file, &fs::read(&path).expect("a fixture"), &DEFAULTS).map(|taken| taken.spec);
        let said: String = found.expect_err(file).iter().map(|diagnostic| format!("{diagnostic}\n\n")).collect();
        let expected = path.with_extension(format!("{}.expected", path.extension().unwrap_or_default().display()));
        if is_blessed {
            fs::write(&expected, &said).expect("a place for the fixture");
        }
        assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{file}");
    }
    assert!(count >= 10, "{count} fixtures");
}
