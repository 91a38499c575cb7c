// Puts the columns side by side and judges them.

const COUNTED = ['SUCCESS', 'FAILURE'];

const count = (checks, statuses) => checks.filter(({ status }) => statuses.includes(status)).length;

const passes = (checks) => count(checks, ['FAILURE']) === 0 && count(checks, ['SUCCESS']) > 0;

/**
 * Pairs the checks of two columns: those of the same id, first by name and then in order, because the suite names what
 * it could not check otherwise than what it checked.
 */
function pairs(direct, column) {
  const rest = [...column];
  const take = (wanted) => {
    const place = rest.findIndex(wanted);
    return place < 0 ? undefined : rest.splice(place, 1)[0];
  };
  const named = direct.map((check) => [check, take(({ id, name }) => id === check.id && name === check.name)]);
  const paired = named.map(([check, other]) => [check, other ?? take(({ id }) => id === check.id)]);
  return [...paired, ...rest.map((other) => [undefined, other])];
}

const judged = (check) => (['SUCCESS', 'FAILURE', 'WARNING'].includes(check?.status) ? check.status : 'nothing');

/** What `column` has otherwise than `direct`, as [check, text]. */
function differences(direct, column) {
  return pairs(direct, column).flatMap(([before, after]) => {
    // A gateway asks servers more than a client does, so that more of it can be checked.
    const same = judged(before) === judged(after) || (judged(before) === 'nothing' && judged(after) === 'SUCCESS');
    return same ? [] : [[after ?? before, `${before?.status ?? 'absent'} -> ${after?.status ?? 'absent'}`]];
  });
}

/**
 * `groups` are `{ title, scenarios: { required, besides }, expected, columns }`, and a column maps scenarios to checks.
 * The first column is the direct one. Returns the lines of the table and those of what is wrong.
 */
export function judge(groups, headings) {
  const lines = [];
  const wrong = [];
  const row = (name, cells) => lines.push(name.padEnd(52) + cells.map((cell) => cell.padStart(16)).join(''));

  for (const { title, scenarios: { required, besides }, expected, columns } of groups) {
    const used = new Set();
    const accepted = (scenario, id) => {
      const entry = expected.find((entry) => entry === scenario || entry === `${scenario}:${id}`);
      if (entry) used.add(entry);
      return entry !== undefined;
    };
    row(title, headings);
    for (const scenario of [...required, ...besides]) {
      const [direct, ...others] = columns.map((column) => column[scenario] ?? []);
      row(`  ${scenario}`, [direct, ...others].map((checks) =>
        `${count(checks, ['SUCCESS'])}/${count(checks, COUNTED)}`));
      for (const [place, checks] of [direct, ...others].entries()) {
        const different = place === 0 ? [] : differences(direct, checks);
        // What fails in both is no difference, and yet wrong.
        const failed = checks.filter((check) =>
          ['FAILURE', 'WARNING'].includes(check.status) && !different.some(([other]) => other === check));
        for (const [check, what] of [...different, ...failed.map((check) => [check, check.status])]) {
          if (accepted(scenario, check.id)) continue;
          const why = check.errorMessage ?? check.details?.message;
          const said = [check.id, check.name, what, why].filter(Boolean).join(': ');
          wrong.push(`${title}, ${headings[place]}, ${scenario}: ${said}`);
        }
        if (count(checks, ['SUCCESS']) === 0 && !accepted(scenario)) {
          wrong.push(`${title}, ${headings[place]}, ${scenario}: nothing passed`);
        }
      }
    }
    const total = (names) => columns.map((column) =>
      `${names.filter((name) => passes(column[name] ?? [])).length}/${names.length}`);
    row('  = required scenarios passed', total(required));
    if (besides.length > 0) row('  = other scenarios passed', total(besides));
    lines.push('');
    // Without a gateway there is nothing that could differ.
    for (const entry of columns.length > 1 ? expected : []) {
      if (!used.has(entry)) wrong.push(`${title}: ${entry} is expected to fail, and does not`);
    }
  }
  return { lines, wrong };
}
