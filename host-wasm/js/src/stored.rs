//! Stored blobs, on their way from and to JavaScript.

use burrow_core::journal::{Batch, Load, LoadError};
use js_sys::{Array, Function, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::outcome::object;
use crate::whole;

/// Blobs that a function of JavaScript reads.
pub(crate) struct Stored {
    sequences: Vec<u64>,
    read: Function,
}

impl Stored {
    pub(crate) fn new(sequences: &[f64], read: Function) -> Self {
        Self {
            sequences: sequences.iter().copied().map(whole).collect(),
            read,
        }
    }
}

impl Load for Stored {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.sequences.clone())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        let blob = self
            .read
            .call1(&JsValue::UNDEFINED, &(sequence as f64).into())
            .map_err(|error| LoadError(format!("blob {sequence}: {error:?}")))?;
        let blob = blob
            .dyn_into::<Uint8Array>()
            .map_err(|_| LoadError(format!("blob {sequence} is not a Uint8Array")))?;
        Ok(blob.to_vec())
    }
}

pub(crate) fn batch(batch: &Batch) -> Object {
    let drops: Array = batch
        .drops
        .iter()
        .map(|drop| Array::of2(&(*drop.start() as f64).into(), &(*drop.end() as f64).into()))
        .collect();
    object([
        ("sequence", (batch.sequence as f64).into()),
        ("blob", Uint8Array::from(batch.blob.as_slice()).into()),
        ("drops", drops.into()),
    ])
}
