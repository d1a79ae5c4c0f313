/*
 * fiber_aarch64.S - the switch: the callee-saved registers, the stack, TPIDR
 *
 * fiber_swap(void **from_sp, void *to_sp, uintptr_t to_tp) saves what AAPCS64
 * lets a callee keep (x19-x30, d8-d15), changes stacks, and loads the other
 * thread's TLS base, unless that is 0: then it stays. fiber_trampoline is what a new stack returns into.
 */
    .text
    .globl fiber_swap
    .type fiber_swap, %function
fiber_swap:
    .cfi_startproc
    stp x29, x30, [sp, #-160]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    cbz x2, 1f
    msr tpidr_el0, x2
1:
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #160
    ret
    .cfi_endproc
    .size fiber_swap, . - fiber_swap

    .globl fiber_trampoline
    .type fiber_trampoline, %function
fiber_trampoline:
    .cfi_startproc
    .cfi_undefined x30
    mov x0, x20
    blr x19
    brk #1
    .cfi_endproc
    .size fiber_trampoline, . - fiber_trampoline

    .section .note.GNU-stack, "", %progbits
