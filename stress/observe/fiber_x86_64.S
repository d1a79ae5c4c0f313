/*
 * fiber_x86_64.S - the switch: six registers, the stack, the FS base
 *
 * fiber_swap(void **from_sp, void *to_sp, uintptr_t to_tp) saves what the
 * System V ABI lets a callee keep, changes stacks, and loads the other
 * thread's TLS base, unless that is 0: then it stays. fiber_trampoline is what a new stack returns into.
 */
    .text
    .globl fiber_swap
    .type fiber_swap, @function
fiber_swap:
    .cfi_startproc
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    testq %rdx, %rdx
    jz 1f
    wrfsbase %rdx
1:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size fiber_swap, . - fiber_swap

    .globl fiber_trampoline
    .type fiber_trampoline, @function
fiber_trampoline:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    xorl %ebp, %ebp
    movq %r13, %rdi
    call *%r12
    ud2
    .cfi_endproc
    .size fiber_trampoline, . - fiber_trampoline

    .section .note.GNU-stack, "", @progbits
