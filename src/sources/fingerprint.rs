//! The fingerprint of a label set, computed as Alertmanager does: FNV-1a with 64 bits over the sorted labels, a byte 255
//! after each name and each value (github.com/prometheus/common, model/signature.go). So a Prometheus alert and the same
//! alert in Alertmanager have one identity.

use crate::telemetry::Labels;

/// Sixteen hexadecimal digits.
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for (name, value) in labels {
        name.bytes().for_each(&mut add);
        add(255);
        value.bytes().for_each(&mut add);
        add(255);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_set_is_the_offset_basis() {
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        let one = Labels::from([("a".into(), "b".into())]);
        assert_ne!(fingerprint(&one), fingerprint(&Labels::from([("ab".into(), String::new())])));
    }
}
