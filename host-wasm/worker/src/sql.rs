//! Statements and values of an object's SQL storage.

use wasm_bindgen::prelude::*;
use worker::js_sys::{Array, Uint8Array};
use worker::worker_sys::{DurableObjectStorage, SqlStorage, SqlStorageCursor};

use crate::error::{Error, Result, expect};
use crate::spent;

pub(crate) type Row = Array;

/// JavaScript's numbers are whole up to here; what is stored here stays far below.
const LARGEST: f64 = 9_007_199_254_740_991.0;

pub(crate) fn has_table(sql: &SqlStorage, name: &str) -> Result<bool> {
    let statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
    Ok(!query(sql, statement, &[name.into()])?.is_empty())
}

pub(crate) fn query(sql: &SqlStorage, statement: &str, values: &[JsValue]) -> Result<Vec<Row>> {
    let cursor = run(sql, statement, values)?.raw();
    let mut rows = Vec::new();
    loop {
        let next = cursor.next()?;
        if next.done() {
            return Ok(rows);
        }
        rows.push(expect(next.value(), "no row came")?);
    }
}

/// Writes, and counts the rows.
pub(crate) fn execute(sql: &SqlStorage, statement: &str, values: &[JsValue]) -> Result<()> {
    let written = run(sql, statement, values)?.rows_written();
    spent::count_rows(written as u64);
    Ok(())
}

fn run(sql: &SqlStorage, statement: &str, values: &[JsValue]) -> Result<SqlStorageCursor> {
    Ok(sql.exec(statement, values.iter().collect())?)
}

#[wasm_bindgen]
extern "C" {
    /// What the crate's own binding of the storage leaves out.
    type Transactional;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        act: &mut dyn FnMut() -> std::result::Result<(), JsValue>,
    ) -> std::result::Result<(), JsValue>;
}

/// Does it wholly or, if it fails, not at all.
pub(crate) fn transaction(
    storage: &DurableObjectStorage,
    mut act: impl FnMut() -> Result<()>,
) -> Result<()> {
    let storage: &Transactional = storage.unchecked_ref();
    Ok(storage.transaction_sync(&mut || act().map_err(JsValue::from))?)
}

pub(crate) fn number(number: u64) -> Result<JsValue> {
    let number = number as f64;
    if number > LARGEST {
        return Err(Error::from("a number is too large to be stored"));
    }
    Ok(number.into())
}

pub(crate) fn whole(row: &Row, column: u32) -> Result<u64> {
    match row.get(column).as_f64() {
        Some(number) if (0.0..=LARGEST).contains(&number) => Ok(number as u64),
        _ => Err(Error::from("a number is missing in what is stored")),
    }
}

pub(crate) fn text(row: &Row, column: u32) -> Result<String> {
    let text = row.get(column).as_string();
    text.ok_or_else(|| Error::from("a text is missing in what is stored"))
}

pub(crate) fn blob(row: &Row, column: u32) -> Result<Vec<u8>> {
    let value = row.get(column);
    if !value.is_object() {
        return Err(Error::from("a blob is missing in what is stored"));
    }
    Ok(Uint8Array::new(&value).to_vec())
}

pub(crate) fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}
