# Warnings for our own code; dependencies' headers are system headers and stay quiet. nvcc passes on to the host's
# compiler what it generates itself, so CUDA sources get fewer.
add_library(regatta_warnings INTERFACE)
function(warn)
  target_compile_options(regatta_warnings INTERFACE "$<$<COMPILE_LANGUAGE:C,CXX>:${ARGN}>")
endfunction()
warn(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-missing-field-initializers)  # designated initialisers leave the rest to its defaults on purpose
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  warn(-Wthread-safety)
else()
  # False alarms of g++ 12 in inlined std::string and std::variant code (GCC bugs 105651, 105593).
  warn(-Wno-restrict -Wno-maybe-uninitialized)
endif()
option(REGATTA_WERROR "treat warnings as errors" ON)
if(REGATTA_WERROR)
  warn(-Werror)
endif()
