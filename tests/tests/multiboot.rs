//! A kernel with a multiboot header is entered as the specification says.

use tests::{Vapic, guest};

#[test]
fn it_is_entered_in_protected_mode_with_the_information_in_ebx() {
    let guest = guest!(
        multiboot,
        r#"
            .code32
            jmp   20f
            nop
            nop
            .long 0x1BADB002, 3, -0x1BADB005
        20: mov   esp, 0x80000
            cmp   eax, 0x2BADB002
            jne   30f
            mov   ecx, cr0
            and   ecx, 0x80000001
            cmp   ecx, 1                   // protection, no paging
            jne   30f
            mov   ecx, [ebx]
            and   ecx, 0x45
            cmp   ecx, 0x45                // memory sizes, a command line, a memory map
            jne   30f
            cmp   dword ptr [ebx + 8], (64 - 1) * 1024
            jne   30f
            mov   esi, [ebx + 16]
        21: lodsb                          // the first word is the file's name
            cmp   al, 0x21
            jae   21b
            cmp   dword ptr [esi], 0x3D757063
            jne   30f                      // cpu=, of the words given
            call  31f
            .ascii "exit 0\n"
        30: call  31f
            .ascii "exit 3\n"
        31: pop   esi
            mov   ecx, 7
            mov   edx, 0x700
            rep   outsb
        32: hlt
            jmp   32b
            .code64
        "#
    );
    let arguments = ["--memory", "64M", "--report", "json", "--cmdline", "cpu=1"];
    let _ = Vapic::guest(&guest, &arguments).run().passed();
}
