// How the emulated device ends a program that a real one would hang or crash: with a sentence. Kernels are
// named from the program's own symbol table, which knows those of unnamed namespaces too.
#include "emulated_cuda/failure.h"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "emulated_cuda/block_runner.h"
#include "emulated_cuda/kernel.h"
#include "emulated_cuda/memory.h"

namespace regatta {
namespace {

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(symbol, nullptr, nullptr, &status),
                                                    std::free);
  std::string name = status == 0 ? text.get() : symbol;
  for (const std::string noise : {"(anonymous namespace)::", "regatta::"}) {
    for (std::size_t at = name.find(noise); at != std::string::npos; at = name.find(noise)) {
      name.erase(at, noise.size());
    }
  }
  name = name.substr(0, name.find('('));
  return name.starts_with("void ") ? name.substr(5) : name;  // how instances of templates begin
}

// The symbol at `offset` from where the program was loaded.
std::string symbol_at(const std::vector<char>& program, std::uintptr_t offset) {
  const auto* const header = reinterpret_cast<const ElfW(Ehdr)*>(program.data());
  const auto* const sections = reinterpret_cast<const ElfW(Shdr)*>(program.data() + header->e_shoff);
  for (int s = 0; s < header->e_shnum; ++s) {
    if (sections[s].sh_type != SHT_SYMTAB) {
      continue;
    }
    const auto* const symbols = reinterpret_cast<const ElfW(Sym)*>(program.data() + sections[s].sh_offset);
    const char* const names = program.data() + sections[sections[s].sh_link].sh_offset;
    for (std::size_t i = 0; i < sections[s].sh_size / sizeof(ElfW(Sym)); ++i) {
      if ((symbols[i].st_info & 0xF) == STT_FUNC && symbols[i].st_value == offset) {
        return demangled(names + symbols[i].st_name);
      }
    }
  }
  return {};
}

void on_fault(int number, siginfo_t* info, void*) {
  const EmulatedKernel* const kernel = block_runner().kernel();
  if (emulated_memory().kind_of(info->si_addr) == MemoryKind::kDevice) {
    const std::string what = emulated_memory().describe(info->si_addr);
    emulation_failed(kernel != nullptr
                         ? fmt::format("kernel {} touches {}", kernel_name(kernel->function), what)
                         : fmt::format("the host touches {}", what));
  }
  if (kernel != nullptr) {
    emulation_failed(fmt::format("kernel {} touches address {}, which is no device memory",
                                 kernel_name(kernel->function), fmt::ptr(info->si_addr)));
  }
  signal(number, SIG_DFL);  // the instruction is tried again, and ends the program as it would have
}

}  // namespace

std::string kernel_name(const void* function) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::vector<char> program((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::uintptr_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {  // the program itself comes first
        *static_cast<std::uintptr_t*>(result) = info->dlpi_addr;
        return 1;
      },
      &base);
  const std::string name = symbol_at(program, reinterpret_cast<std::uintptr_t>(function) - base);
  return name.empty() ? fmt::format("at {}", fmt::ptr(function)) : name;
}

void emulation_failed(const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "emulated CUDA device: %s\n", what.c_str());
  std::fflush(stderr);
  signal(SIGABRT, SIG_DFL);
  std::abort();
}

void watch_faults() {
  thread_local std::unique_ptr<std::array<char, std::size_t{64} << 10>> stack;
  if (stack != nullptr) {
    return;
  }
  stack = std::make_unique<std::array<char, std::size_t{64} << 10>>();
  stack_t own = {};
  own.ss_sp = stack->data();
  own.ss_size = stack->size();
  sigaltstack(&own, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
}

namespace {

// After every destructor of the program, so that what objects of static storage hold is freed by then.
__attribute__((destructor)) void report_leaks() {
  const std::string leaks = emulated_memory().leaks();
  if (!leaks.empty()) {
    std::fprintf(stderr, "emulated CUDA device:\n%s", leaks.c_str());
    std::fflush(stderr);
    _exit(1);
  }
}

}  // namespace
}  // namespace regatta
