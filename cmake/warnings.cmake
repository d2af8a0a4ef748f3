# Warnings for our own code; dependencies' headers are system headers and stay quiet.
add_library(regatta_warnings INTERFACE)
target_compile_options(regatta_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-missing-field-initializers)  # designated initialisers leave the rest to its defaults on purpose
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(regatta_warnings INTERFACE -Wthread-safety)
else()
  # False alarms of g++ 12 in inlined std::string and std::variant code (GCC bugs 105651, 105593).
  target_compile_options(regatta_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
option(REGATTA_WERROR "treat warnings as errors" ON)
if(REGATTA_WERROR)
  target_compile_options(regatta_warnings INTERFACE -Werror)
endif()
