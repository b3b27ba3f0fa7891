//! Computes the fingerprint of a label set the way Alertmanager does, so that an alert has the same identity in Prometheus
//! and Alertmanager.
//!
//! FNV-1a with 64 bits over the sorted labels, with a byte 255 after each name and each value (github.com/prometheus/common,
//! model/signature.go).

use crate::telemetry::Labels;

/// The fingerprint of a label set, as sixteen hexadecimal digits.
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
    fn an_empty_label_set_hashes_to_the_offset_basis() {
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        let one = Labels::from([("a".into(), "b".into())]);
        assert_ne!(fingerprint(&one), fingerprint(&Labels::from([("ab".into(), String::new())])));
    }
}
