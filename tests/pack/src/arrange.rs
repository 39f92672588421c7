//! Puts a module's functions into an order in which they pack well. A packer finds what it has met in the last
//! 32 KiB, so those that are alike belong together; and of those that are the same one is enough.

use std::collections::{HashMap, HashSet, VecDeque};

use anyhow::{Context, anyhow};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload};

/// What a packer looks back at.
const WINDOW_BYTES: usize = 32 << 10;
/// Functions are alike if they have strings of so many bytes in common.
const STRING_BYTES: usize = 6;
/// Strings by which small functions count as larger than they are: otherwise all of them would come first, as
/// they have little that nothing else has.
const OWN_STRINGS: usize = 10;
/// Strings that functions of the same type have in common beside those of their bodies.
const TYPE_STRINGS: usize = 4;

pub(crate) fn arrange(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut module = module.to_vec();
    loop {
        let functions = Functions::read(&module)?;
        let (kept, places) = functions.without_copies();
        let is_last = kept.len() == functions.bodies.len();
        let order = if is_last { functions.chain() } else { kept };
        let mut places_of: Vec<u32> = vec![0; functions.bodies.len()];
        for (place, &function) in order.iter().enumerate() {
            places_of[function] = u32::try_from(place)?;
        }
        let places = places.iter().map(|&same| places_of[same]).collect();
        let mut moved = Module::new();
        let mut arranged = Arranged {
            imports: functions.imports,
            order,
            places,
        };
        arranged
            .parse_core_module(&mut moved, Parser::new(0), &module)
            .map_err(|error| anyhow!("the module cannot be written anew: {error}"))?;
        module = moved.finish();
        if is_last {
            return Ok(module);
        }
    }
}

/// The functions of a module, beside those that it imports.
struct Functions<'m> {
    imports: u32,
    types: Vec<u32>,
    bodies: Vec<&'m [u8]>,
}

impl<'m> Functions<'m> {
    fn read(module: &'m [u8]) -> anyhow::Result<Self> {
        let mut functions = Self {
            imports: 0,
            types: Vec::new(),
            bodies: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let is_function = matches!(import?.ty, wasmparser::TypeRef::Func(_));
                        functions.imports += u32::from(is_function);
                    }
                }
                Payload::FunctionSection(types) => {
                    functions.types = types.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::CodeSectionEntry(body) => functions.bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        Ok(functions)
    }

    /// The first of each kind, and for each function which one is the same.
    fn without_copies(&self) -> (Vec<usize>, Vec<usize>) {
        let mut first = HashMap::new();
        let mut kept = Vec::new();
        let same = self.types.iter().zip(&self.bodies).enumerate();
        let same = same.map(|(function, kind)| {
            *first.entry(kind).or_insert_with(|| {
                kept.push(function);
                function
            })
        });
        let same = same.collect();
        (kept, same)
    }

    /// An order in which each is as much like those shortly before it as any that is left.
    fn chain(&self) -> Vec<usize> {
        let mut names = HashMap::new();
        let mut has: Vec<Vec<usize>> = Vec::new();
        let mut strings: Vec<Vec<usize>> = Vec::new();
        for (function, (body, ty)) in self.bodies.iter().zip(&self.types).enumerate() {
            let own = body.windows(STRING_BYTES).map(Likeness::String);
            let types = (0..TYPE_STRINGS).map(|count| Likeness::Type(*ty, count));
            let own: HashSet<Likeness<'_>> = own.chain(types).collect();
            let own = own.into_iter().map(|string| {
                let next = names.len();
                *names.entry(string).or_insert(next)
            });
            strings.push(own.collect());
            has.resize(names.len(), Vec::new());
            for &string in &strings[function] {
                has[string].push(function);
            }
        }
        let mut near = Near {
            seen: vec![0; has.len()],
            common: vec![0; self.bodies.len()],
        };
        let mut left: Vec<usize> = (0..self.bodies.len()).collect();
        let (mut order, mut window, mut bytes) = (Vec::new(), VecDeque::new(), 0);
        while let Some(place) = near.best(&left, &strings) {
            let function = left.remove(place);
            order.push(function);
            window.push_back(function);
            bytes += self.bodies[function].len();
            near.enter(&strings[function], &has);
            while bytes > WINDOW_BYTES
                && let Some(far) = window.pop_front()
            {
                bytes -= self.bodies[far].len();
                near.leave(&strings[far], &has);
            }
        }
        order
    }
}

/// What functions can have in common.
#[derive(PartialEq, Eq, Hash)]
enum Likeness<'m> {
    String(&'m [u8]),
    /// One of several for a type: the types are a list of their own, which packs as well.
    Type(u32, usize),
}

/// What a packer has in sight.
struct Near {
    /// How often, by string.
    seen: Vec<u32>,
    /// Strings in sight that a function has too.
    common: Vec<usize>,
}

impl Near {
    fn enter(&mut self, strings: &[usize], has: &[Vec<usize>]) {
        for &string in strings {
            self.seen[string] += 1;
            if self.seen[string] == 1 {
                has[string].iter().for_each(|&one| self.common[one] += 1);
            }
        }
    }

    fn leave(&mut self, strings: &[usize], has: &[Vec<usize>]) {
        for &string in strings {
            self.seen[string] -= 1;
            if self.seen[string] == 0 {
                has[string].iter().for_each(|&one| self.common[one] -= 1);
            }
        }
    }

    /// The place among those left of the one that has the largest share in sight.
    fn best(&self, left: &[usize], strings: &[Vec<usize>]) -> Option<usize> {
        let share = |&place: &usize| {
            let function = left[place];
            let all = strings[function].len() + OWN_STRINGS;
            (self.common[function] << 32) / all
        };
        // Of equal ones the first.
        (0..left.len()).rev().max_by_key(share)
    }
}

/// Writes the functions in another order.
struct Arranged {
    imports: u32,
    order: Vec<usize>,
    /// The new place of each function.
    places: Vec<u32>,
}

impl Reencode for Arranged {
    type Error = anyhow::Error;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<anyhow::Error>> {
        let Some(own) = function.checked_sub(self.imports) else {
            return Ok(function);
        };
        let place = self.places.get(own as usize);
        let place = place.context("there is no such function");
        Ok(self.imports + place.map_err(Error::UserError)?)
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<anyhow::Error>> {
        let types: Vec<u32> = section.into_iter().collect::<Result<_, _>>()?;
        for &function in &self.order {
            functions.function(types[function]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<anyhow::Error>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for function in self.order.clone() {
            self.parse_function_body(code, bodies[function].clone())?;
        }
        Ok(())
    }
}
