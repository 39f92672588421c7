//! The figures of the Worker can be had. What they measure is not looked at.

use std::process::Command;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn prints_its_tables() {
    let output = Command::new(env!("CARGO_BIN_EXE_burrow-bench"))
        .args(["worker", "--short"])
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{failed}");
    assert_eq!(told.matches("\nworker: ").count(), 2, "{told}");
}
