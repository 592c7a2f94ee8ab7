//! A limit on recursion that is the same on every machine.
//!
//! An engine's own limit is in bytes of machine stack, and how many of them a call takes hangs on the processor and on the
//! compiler's mood: a module that recurses to the edge would end differently on two honest machines. So each function is
//! rewritten to count its own size in a global of the module before anything else, and to trap above a limit:
//!
//! ```text
//! depth += cost; if depth > LIMIT { unreachable }; block { BODY, `return` branches to its end }; depth -= cost
//! ```
//!
//! `cost` is in words: parameters, locals, and the highest operand stack (what a machine frame can hold at most, but for
//! the compiler's own use, which [`FRAME_WORDS`] stands for). The engine's stack is [`STACK_BYTES`], several times what
//! [`LIMIT_WORDS`] words take, so the count is always reached first. Traps end the run, so nothing is ever to be undone.

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, utils};
use wasm_encoder::{BlockType, CodeSection, ConstExpr, GlobalSection, GlobalType, Instruction, SectionId, ValType};
use wasmparser::{
    FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

/// Words (of 8 bytes) that the calls under way may take together.
pub const LIMIT_WORDS: u32 = 1 << 20;
/// Words that each call takes besides its values.
const FRAME_WORDS: u32 = 8;
/// Stack of the engine, eight times [`LIMIT_WORDS`].
pub const STACK_BYTES: usize = LIMIT_WORDS as usize * 8 * 8;

/// Features of modules: WebAssembly 2 without anything whose result is left to the machine, and without threads.
pub fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::SIMD
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::FLOATS
}

/// Validates a module and gives it back with its recursion limited.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn limit_stack(module: &[u8]) -> Result<Vec<u8>, String> {
    let facts = measure(module)?;
    let mut out = wasm_encoder::Module::new();
    let mut rewriter = Rewriter { facts, next_function: 0, block_type: 0 };
    rewriter.parse_core_module(&mut out, Parser::new(0), module).map_err(|e| format!("it cannot be rewritten: {e}"))?;
    Ok(out.finish())
}

/// What a function of the module costs and gives back.
struct Function {
    words: u32,
    results: Vec<ValType>,
    /// Where its `return`s are: number of the operator, and the blocks around it.
    returns: Vec<(u32, u32)>,
}

struct Facts {
    functions: Vec<Function>,
    globals: u32,
    has_globals: bool,
    types: u32,
}

fn measure(module: &[u8]) -> Result<Facts, String> {
    let mut validator = Validator::new_with_features(features());
    let mut allocations = FuncValidatorAllocations::default();
    let (mut functions, mut results) = (Vec::new(), Vec::new());
    let (mut globals, mut has_globals, mut types) = (0, false, 0);
    let mut signatures: Vec<(u32, Vec<ValType>)> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|e| e.to_string())?;
        let valid = validator.payload(&payload).map_err(|e| e.to_string())?;
        match &payload {
            Payload::TypeSection(section) => {
                types = section.count();
                for ty in section.clone().into_iter_err_on_gc_types() {
                    let ty = ty.map_err(|e| e.to_string())?;
                    let results: Result<Vec<_>, _> =
                        ty.results().iter().map(|t| utils::val_type(&mut Plain, *t)).collect();
                    let words = ty.params().iter().map(|t| words_of(*t)).sum();
                    signatures.push((words, results.map_err(|e| e.to_string())?));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    let ty = ty.map_err(|e| e.to_string())? as usize;
                    results.push(signatures.get(ty).cloned().ok_or("a function of no type")?);
                }
            }
            Payload::GlobalSection(section) => (globals, has_globals) = (section.count(), true),
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let import = import.map_err(|e| e.to_string())?;
                    if !matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                        let (module, name) = (import.module, import.name);
                        return Err(format!("it imports {module}.{name}, which is no function"));
                    }
                }
            }
            _ => {}
        }
        if let ValidPayload::Func(function, body) = valid {
            let (params, results) = results.get(functions.len()).cloned().ok_or("more code than functions")?;
            let mut checker = function.into_validator(std::mem::take(&mut allocations));
            functions.push(measure_function(&mut checker, &body, params, results).map_err(|e| e.to_string())?);
            allocations = checker.into_allocations();
        }
    }
    Ok(Facts { functions, globals, has_globals, types })
}

fn measure_function(
    checker: &mut wasmparser::FuncValidator<wasmparser::ValidatorResources>,
    body: &FunctionBody<'_>,
    params: u32,
    results: Vec<ValType>,
) -> wasmparser::Result<Function> {
    let mut words = params;
    let mut locals = body.get_locals_reader()?;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (count, ty) = locals.read()?;
        checker.define_locals(offset, count, ty)?;
        words = words.saturating_add(count.saturating_mul(words_of(ty)));
    }
    let (mut highest, mut returns, mut number) = (0, Vec::new(), 0);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let offset = operators.original_position();
        let operator = operators.read()?;
        if matches!(operator, Operator::Return) {
            // The function itself is the outermost of these frames.
            returns.push((number, checker.control_stack_height() - 1));
        }
        checker.op(offset, &operator)?;
        highest = highest.max(checker.operand_stack_height());
        number += 1;
    }
    operators.finish()?;
    // Two words for each operand: it may be a vector.
    let words = words.saturating_add(highest.saturating_mul(2)).saturating_add(FRAME_WORDS).min(LIMIT_WORDS + 1);
    Ok(Function { words, results, returns })
}

const fn words_of(ty: wasmparser::ValType) -> u32 {
    if matches!(ty, wasmparser::ValType::V128) { 2 } else { 1 }
}

/// Only for the conversion of types.
struct Plain;

impl Reencode for Plain {
    type Error = std::convert::Infallible;
}

struct Rewriter {
    facts: Facts,
    next_function: usize,
    /// Index of the next block type.
    block_type: u32,
}

type Result_<T = ()> = Result<T, ReencodeError<std::convert::Infallible>>;

impl Rewriter {
    fn depth(&self, globals: &mut GlobalSection) {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i32_const(0));
    }
}

impl Reencode for Rewriter {
    type Error = std::convert::Infallible;

    /// Names and whatever else tools leave: nothing that changes what a module does.
    fn parse_custom_section(
        &mut self,
        _module: &mut wasm_encoder::Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Result_ {
        Ok(())
    }

    /// One more type for each function with several results: a block that takes nothing and leaves them.
    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result_ {
        utils::parse_type_section(self, types, section)?;
        self.block_type = self.facts.types;
        for function in self.facts.functions.iter().filter(|f| f.results.len() > 1) {
            types.ty().function([], function.results.iter().copied());
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result_ {
        utils::parse_global_section(self, globals, section)?;
        self.depth(globals);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut wasm_encoder::Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result_ {
        // Globals stand before exports, start, elements, data count, code and data.
        let late = [SectionId::Export, SectionId::Start, SectionId::Element, SectionId::DataCount, SectionId::Code];
        if !self.facts.has_globals && before.is_none_or(|b| late.contains(&b) || b == SectionId::Data) {
            self.facts.has_globals = true;
            let mut globals = GlobalSection::new();
            self.depth(&mut globals);
            module.section(&globals);
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result_ {
        let mut out = self.new_function_with_parsed_locals(&body)?;
        let index = self.next_function;
        self.next_function += 1;
        // Measured in the same order.
        let function = &self.facts.functions[index];
        let (depth, words) = (self.facts.globals, function.words as i32);
        let block = match function.results.as_slice() {
            [] => BlockType::Empty,
            [one] => BlockType::Result(*one),
            _ => {
                self.block_type += 1;
                BlockType::FunctionType(self.block_type - 1)
            }
        };
        let returns = function.returns.clone();
        for instruction in [
            Instruction::GlobalGet(depth),
            Instruction::I32Const(words),
            Instruction::I32Add,
            Instruction::GlobalSet(depth),
            Instruction::GlobalGet(depth),
            Instruction::I32Const(LIMIT_WORDS as i32),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
            Instruction::Block(block),
        ] {
            out.instruction(&instruction);
        }
        let mut reader = body.get_operators_reader()?;
        let (mut number, mut returns) = (0, returns.into_iter().peekable());
        while !reader.eof() {
            let instruction = self.parse_instruction(&mut reader)?;
            match returns.next_if(|(at, _)| *at == number) {
                Some((_, blocks)) => out.instruction(&Instruction::Br(blocks)),
                // The last is the function's own end: the block's.
                None => out.instruction(&instruction),
            };
            number += 1;
        }
        for instruction in [
            Instruction::GlobalGet(depth),
            Instruction::I32Const(words),
            Instruction::I32Sub,
            Instruction::GlobalSet(depth),
            Instruction::End,
        ] {
            out.instruction(&instruction);
        }
        code.function(&out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn valid(text: &str) -> Vec<u8> {
        let out = limit_stack(&wat::parse_str(text).unwrap()).unwrap();
        Validator::new_with_features(features()).validate_all(&out).unwrap();
        out
    }

    #[test]
    fn rewritten_modules_are_valid_whatever_they_return_and_however() {
        valid("(module)");
        valid("(module (func) (func (result i32) i32.const 1) (func (result i32 i64) i32.const 1 i64.const 2))");
        valid(
            "(module (global i32 (i32.const 1)) (func (param i32) (result i64 f64) (block (loop (if (local.get 0) (then (return (i64.const 1) (f64.const 2)))))) i64.const 1 f64.const 2))",
        );
        valid("(module (func (param i32) (block (br_table 0 1 (local.get 0)))) (memory 1) (data (i32.const 0) \"a\"))");
        valid("(module (func (result i32) (return (i32.const 1)) unreachable))");
        // Once more over what came out.
        let twice = limit_stack(&valid("(module (func $f (export \"f\") (call $f)))")).unwrap();
        Validator::new_with_features(features()).validate_all(&twice).unwrap();
    }

    #[test]
    fn what_is_left_to_the_machine_or_shares_memory_is_refused() {
        let refused = |text: &str| limit_stack(&wat::parse_str(text).unwrap()).unwrap_err();
        assert!(refused("(module (func (result v128) (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0))))").contains("relaxed SIMD"));
        assert!(refused("(module (memory 1 1 shared))").contains("threads"));
        assert!(refused("(module (memory i64 1))").contains("memory64"));
        assert!(refused("(module (func $f (return_call $f)))").contains("tail calls"));
        assert!(refused("(module (memory 1) (memory 1))").contains("multi"));
        assert!(refused("(module (import \"env\" \"memory\" (memory 1)))").contains("no function"));
        assert!(limit_stack(b"\0asm\x01\0\0").unwrap_err().contains("unexpected end"));
    }
}
