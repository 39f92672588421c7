//! Statements and values of an object's SQL storage.

use wasm_bindgen::prelude::*;
use worker::{Error, Result, SqlStorage, SqlStorageValue, Storage};

use crate::spent;

pub(crate) type Row = Vec<SqlStorageValue>;

pub(crate) fn has_table(sql: &SqlStorage, name: &str) -> Result<bool> {
    let statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
    Ok(!query(sql, statement, vec![name.into()])?.is_empty())
}

pub(crate) fn query(sql: &SqlStorage, statement: &str, values: Row) -> Result<Vec<Row>> {
    sql.exec(statement, values)?.raw().collect()
}

/// Writes, and counts the rows.
pub(crate) fn execute(sql: &SqlStorage, statement: &str, values: Row) -> Result<()> {
    let written = sql.exec(statement, values)?.rows_written();
    spent::count_rows(written as u64);
    Ok(())
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
pub(crate) fn transaction(storage: &Storage, mut act: impl FnMut() -> Result<()>) -> Result<()> {
    let storage: &Transactional = AsRef::<JsValue>::as_ref(storage.as_raw()).unchecked_ref();
    storage
        .transaction_sync(&mut || act().map_err(JsValue::from))
        .map_err(Error::from)
}

/// JavaScript's numbers are whole up to 2^53; what is stored here stays far below.
pub(crate) fn number(number: u64) -> Result<SqlStorageValue> {
    let number =
        i64::try_from(number).map_err(|_| Error::from("a number is too large to be stored"))?;
    SqlStorageValue::try_from_i64(number)
}

pub(crate) fn whole(value: Option<&SqlStorageValue>) -> Result<u64> {
    match value {
        Some(SqlStorageValue::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::from("a number is missing in what is stored"))
}

pub(crate) fn text(value: Option<&SqlStorageValue>) -> Result<&str> {
    match value {
        Some(SqlStorageValue::String(text)) => Ok(text),
        _ => Err(Error::from("a text is missing in what is stored")),
    }
}
