//! Writes a tiny language model with random weights. It has a token for each byte, so it needs more tokens for a text than any
//! model that people use, and what it writes is nonsense: any bytes, also control characters and text that is not UTF-8.

use std::path::Path;

/// Sizes: values of a token, values between the layers of the network, and the longest text in tokens.
const WIDTH: usize = 64;
const INNER: usize = 128;
const CONTEXT: u32 = 65_536;

/// The numbers of the types of values, from the description of GGUF, version 3.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const TEXT: u32 = 8;
const LIST: u32 = 9;

/// The metadata of a file, in the form in which it is written.
#[derive(Default)]
struct Metadata {
    bytes: Vec<u8>,
    count: u64,
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend(value.as_bytes());
}

impl Metadata {
    fn key(&mut self, key: &str, kind: u32) {
        text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
        self.count += 1;
    }

    fn number(&mut self, key: &str, value: u32) {
        self.key(key, U32);
        self.bytes.extend(value.to_le_bytes());
    }

    fn float(&mut self, key: &str, value: f32) {
        self.key(key, F32);
        self.bytes.extend(value.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key, TEXT);
        text(&mut self.bytes, value);
    }

    fn list(&mut self, key: &str, kind: u32, items: usize) -> &mut Vec<u8> {
        self.key(key, LIST);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((items as u64).to_le_bytes());
        &mut self.bytes
    }
}

/// The printable character that byte-level vocabularies write for a byte, as GPT-2 does.
fn written(byte: u8) -> char {
    let is_printable = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    if is_printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !is_printable(*b)).count();
    char::from_u32(256 + u32::try_from(before).unwrap()).unwrap()
}

/// Writes the model to `path`.
pub(crate) fn write_nonsense_model(path: &Path) {
    let mut tokens: Vec<String> = (0..=255u8).map(|b| written(b).to_string()).collect();
    tokens.extend(["he", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
    let mut m = Metadata::default();
    m.text("general.architecture", "llama");
    m.text("general.name", "nonsense");
    for (key, value) in [
        ("context_length", CONTEXT),
        ("embedding_length", u32::try_from(WIDTH).unwrap()),
        ("block_count", 1),
        ("feed_forward_length", u32::try_from(INNER).unwrap()),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", u32::try_from(WIDTH / 2).unwrap()),
        ("vocab_size", u32::try_from(tokens.len()).unwrap()),
    ] {
        m.number(&format!("llama.{key}"), value);
    }
    m.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    m.text("tokenizer.ggml.model", "gpt2");
    m.text("tokenizer.ggml.pre", "default");
    let list = m.list("tokenizer.ggml.tokens", TEXT, tokens.len());
    for token in &tokens {
        text(list, token);
    }
    // 1 is an ordinary token, 3 one that controls.
    let list = m.list("tokenizer.ggml.token_type", I32, tokens.len());
    for n in 0..tokens.len() {
        list.extend((if n < 257 { 1i32 } else { 3 }).to_le_bytes());
    }
    let list = m.list("tokenizer.ggml.merges", TEXT, 1);
    text(list, "h e");
    m.number("tokenizer.ggml.bos_token_id", 257);
    m.number("tokenizer.ggml.eos_token_id", 258);
    m.text(
        "tokenizer.chat_template",
        "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}<|im_start|>assistant\n",
    );

    // Sizes count from the innermost dimension.
    let vocabulary = tokens.len();
    let layer = |name: &str, sizes: &[usize]| (format!("blk.0.{name}.weight"), sizes.to_vec());
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), vec![WIDTH, vocabulary]),
        ("output_norm.weight".to_owned(), vec![WIDTH]),
        ("output.weight".to_owned(), vec![WIDTH, vocabulary]),
        layer("attn_norm", &[WIDTH]),
        layer("ffn_norm", &[WIDTH]),
        layer("ffn_gate", &[WIDTH, INNER]),
        layer("ffn_up", &[WIDTH, INNER]),
        layer("ffn_down", &[INNER, WIDTH]),
    ];
    tensors.extend(["attn_q", "attn_k", "attn_v", "attn_output"].map(|n| layer(n, &[WIDTH, WIDTH])));

    let mut file = Vec::from(*b"GGUF");
    file.extend(3u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(m.count.to_le_bytes());
    file.extend(m.bytes);
    let mut data: Vec<u8> = Vec::new();
    let mut state = 7u64;
    for (name, sizes) in &tensors {
        text(&mut file, name);
        file.extend(u32::try_from(sizes.len()).unwrap().to_le_bytes());
        for size in sizes {
            file.extend((*size as u64).to_le_bytes());
        }
        file.extend(0u32.to_le_bytes()); // 32-bit floats
        file.extend((data.len() as u64).to_le_bytes());
        for _ in 0..sizes.iter().product::<usize>() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (state >> 40) as f32 / 16_777_216.0 - 0.5;
            data.extend(if sizes.len() == 1 { 1.0 } else { random * 0.7 }.to_le_bytes());
        }
        data.resize(data.len().next_multiple_of(32), 0);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    std::fs::write(path, file).unwrap();
}
