//! `docs/peers-matrix.md`: a line for each combination, with its PDU sizes and what came of them.

/// A line of the table but for its PDU size, and how many values were right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) what: [String; 6],
    pub(crate) max_pdu: u16,
    pub(crate) values: usize,
}

/// The document, PDU sizes of one combination in one line.
pub(crate) fn document(rows: &[Row]) -> String {
    let mut lines: Vec<(&[String; 6], Vec<String>, Vec<String>)> = Vec::new();
    for row in rows {
        let (size, values) = (row.max_pdu.to_string(), row.values.to_string());
        match lines.iter_mut().find(|(what, ..)| *what == &row.what) {
            Some((_, sizes, counts)) => {
                sizes.push(size);
                counts.push(values);
            }
            None => lines.push((&row.what, vec![size], vec![values])),
        }
    }
    let line = |(what, sizes, values): &(&[String; 6], Vec<String>, Vec<String>)| {
        format!("| {} | {} | {} |\n", what.join(" | "), sizes.join(", "), values.join(", "))
    };
    let table: String = lines.iter().map(line).collect();
    format!("{HEAD}{table}{FOOT}")
}

/// Whether a kept document says what came of a run: the same lines, with no more values than agreed now. A model that
/// grows shows more of them.
pub(crate) fn holds(kept: &str, now: &str) -> bool {
    let (kept, now): (Vec<_>, Vec<_>) = (kept.lines().collect(), now.lines().collect());
    kept.len() == now.len() && kept.iter().zip(now).all(|(kept, now)| *kept == now || line_holds(kept, now))
}

fn line_holds(kept: &str, now: &str) -> bool {
    let cells = |line: &str| {
        let (head, last) = line.strip_suffix(" |")?.rsplit_once(" | ")?;
        let numbers = last.split(", ").map(|number| number.parse().ok()).collect::<Option<Vec<usize>>>()?;
        Some((head.to_owned(), numbers))
    };
    let (Some((kept, before)), Some((now, after))) = (cells(kept), cells(now)) else { return false };
    kept == now && before.len() == after.len() && before.iter().zip(after).all(|(before, after)| *before <= after)
}

const HEAD: &str = "\
# Other implementations at the other end

Written by `conformance/tests/peers_matrix.rs`, which `./test peers` runs; it fails when a case fails or when this page
says something else than what came of it. The cases are generated from what each implementation has of each dimension
(`conformance/tests/peer/case.rs`). A client reads every attribute that the simulated meter shows it, and parts
of the load profile by range and by entry; each value must be the model's. With HLS 2, 3, 4 and 6, where the reading is
the same, it is every eighth attribute. A server is read, written and invoked by our client. The numbers at the end are
the values that agreed, for each PDU size; with a model that has grown since they may be more, but never fewer.

| peer | its role | link | mechanism | envelope | window × information field | longest APDU | values |
|---|---|---|---|---|---|---|---|
";

const FOOT: &str = "
## What is not in the table, and why

| combination | reason |
|---|---|
| `gurux-dlms`, `dlms-cosem`: windows over 1 | neither sends or takes several frames at a time |
| `dlms-cosem`: information fields, PDUs under 256 | it proposes no HDLC parameters |
| `dlms-cosem`: entries, bit-strings, UTF-8 strings | it cannot encode an entry descriptor nor decode a bit-string, which the context information of the association begins with, or an UTF-8 string |
| `dlms-cosem`, `dlms-cosem-rs`: dedicated keys | neither proposes one |
| `dlms-cosem`: HLS 2 ciphered | it expects another mechanism in the answer of a ciphered association |
| `dlms-cosem`, `dlms-cosem-rs`: HLS 3, 4, 6 | neither has them |
| wrong secrets | `peers_mechanisms.rs`: each mechanism again with a secret that is not the meter's, which must be refused |
| UDP | the two in Python open no such socket themselves: they are given one, and frame their APDUs for it; APDUs over 8 KiB are left to TCP |
| `gurux-dlms` as server | `peers_gurux_meter.rs`: read over the wrapper with no mechanism and LLS; version 1.0.203 fails by itself at SNRM, SET, selective access, blocks and ciphering |
| HLS 7 | `peers_public_key.rs`: `gurux-dlms` as client of suite 1, ciphered and plain, with right and wrong keys on either side; it signs with no key of suite 2 |
| suites 1 and 2 | `peers_public_key.rs`: `gurux-dlms` has the meter make key pairs and requests, an authority of OpenSSL certifies them, and a key is agreed on |
| general-signing, general-ciphering with other keys than the global ones | none of the three has them in a form that could be driven; vectors stand for them |
| short names | `peers_short_names.rs`: `gurux-dlms` as client, plain, over the wrapper and HDLC |
| general block transfer, ACCESS | `peers_general_blocks.rs`: `gurux-dlms` as client |
";
