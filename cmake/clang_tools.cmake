# Targets `format` (rewrites the sources) and `tidy` (clang-tidy over everything that was configured; minutes).
file(GLOB_RECURSE own_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/*/*.cc ${PROJECT_SOURCE_DIR}/*/*.h ${PROJECT_SOURCE_DIR}/*/*.cu)
list(FILTER own_sources EXCLUDE REGEX "^${PROJECT_SOURCE_DIR}/(build|runs|[.])")

find_program(CLANG_FORMAT clang-format)
if(CLANG_FORMAT)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${own_sources} VERBATIM)
endif()

find_program(RUN_CLANG_TIDY NAMES run-clang-tidy run-clang-tidy-14)
if(RUN_CLANG_TIDY)
  add_custom_target(tidy
    COMMAND ${RUN_CLANG_TIDY} -quiet -p ${PROJECT_BINARY_DIR} "^${PROJECT_SOURCE_DIR}/(?!build)" VERBATIM USES_TERMINAL)
endif()
